# Names for those who type make; ./run does the work, and make is not needed for anything.
.PHONY: demo test check bench faults help
demo test check bench faults:
	@./run $@
help:
	@./run --help
.DEFAULT_GOAL := help
