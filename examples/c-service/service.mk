# The data API as a service in C, on libmicrohttpd. Included by the Makefile; needs ffi/ffi.mk before it.
#
#   make example-c-service      build it and run it (SERVICE_ARGS="--port 8080 …")
#   make test-c-service         real clients against it: counts, headers, bodies, latency, clients that go away

C_SERVICE_DIR := examples/c-service
C_SERVICE_BUILD := .build/c-service
C_SERVICE := $(C_SERVICE_BUILD)/service
SERVICE_ARGS ?=

.PHONY: build-c-service example-c-service test-c-service

build-c-service: build-c
	@$(C_SERVICE_DIR)/need.sh
	@mkdir -p $(C_SERVICE_BUILD)
	@ln -sfn $(abspath $(C_BUILT_DIR))/$(C_BUILT) $(C_SERVICE_BUILD)/$(C_BUILT)
	@ln -sfn $(C_BUILT) $(C_SERVICE_BUILD)/$(C_SONAME)
	$(CC) -std=c11 -O2 -Wall -Wextra -Werror -Iinclude $(C_SERVICE_DIR)/service.c -o $(C_SERVICE) \
		-L$(C_SERVICE_BUILD) -ltidegate -Wl,-rpath,$(abspath $(C_SERVICE_BUILD)) \
		$$(pkg-config --cflags --libs libmicrohttpd 2> /dev/null || echo -lmicrohttpd) -lpthread

example-c-service: build-c-service
	$(C_SERVICE) $(SERVICE_ARGS)

test-c-service:
	@if why=$$($(C_SERVICE_DIR)/need.sh 2>&1); then \
		$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) build-c-service && \
		$(PYTHON) -m unittest --quiet $(C_SERVICE_DIR)/test_service.py; \
	else echo "SKIPPED: test-c-service: $$why"; fi
