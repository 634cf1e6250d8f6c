# The C interface: build, install, test, and its header. Included by the Makefile; all paths are
# relative to the root of the repository.
#
#   make install PREFIX=/usr/local          (DESTDIR= stages, LIBDIR= and INCLUDEDIR= below PREFIX)

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
CARGO ?= cargo
INSTALL ?= install

C_TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# Where cargo leaves the libraries: see TIDEGATE_PROFILE in the Makefile.
C_BUILT_DIR = $(C_TARGET_DIR)/$(if $(filter dev,$(TIDEGATE_PROFILE)),debug,$(TIDEGATE_PROFILE))
C_BUILD := .build/c
C_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
C_MAJOR := $(word 1,$(subst ., ,$(C_VERSION)))
C_MINOR := $(word 2,$(subst ., ,$(C_VERSION)))

# What a program needs that links libtidegate.a (rustc --print native-static-libs).
ifeq ($(shell uname -s),Darwin)
C_BUILT := libtidegate.dylib
C_SHARED := libtidegate.$(C_VERSION).dylib
C_SONAME := libtidegate.$(C_MAJOR).dylib
# The frameworks tell of files that change.
C_STATIC_LIBS := -framework CoreServices -framework CoreFoundation -lSystem -lc -lm
else
C_BUILT := libtidegate.so
C_SHARED := libtidegate.so.$(C_VERSION)
C_SONAME := libtidegate.so.$(C_MAJOR)
C_STATIC_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
endif

# ../ for each folder of LIBDIR below PREFIX: the way from the libraries to the header.
c_empty :=
c_up = $(subst $(c_empty) ,,$(foreach folder,$(subst /, ,$(patsubst $(PREFIX)/%,%,$(LIBDIR))),../))

C_SUBSTITUTE = sed \
	-e 's|@PREFIX@|$(PREFIX)|g' \
	-e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' \
	-e 's|@LIBDIR_TO_INCLUDEDIR@|$(c_up)$(patsubst $(PREFIX)/%,%,$(INCLUDEDIR))|g' \
	-e 's|@VERSION@|$(C_VERSION)|g' \
	-e 's|@VERSION_MAJOR@|$(C_MAJOR)|g' \
	-e 's|@VERSION_MINOR@|$(C_MINOR)|g' \
	-e 's|@SHARED_FILE@|$(C_SHARED)|g' \
	-e 's|@SHARED_SONAME@|$(C_SONAME)|g' \
	-e 's|@STATIC_LIBS@|$(C_STATIC_LIBS)|g'

.PHONY: build-c install header header-check test-c test-c-valgrind

build-c:
	$(CARGO) build --locked --profile $(TIDEGATE_PROFILE) -p tidegate-ffi

install: build-c
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' \
		'$(DESTDIR)$(LIBDIR)/cmake/tidegate'
	$(INSTALL) -m 644 include/tidegate.h '$(DESTDIR)$(INCLUDEDIR)/tidegate.h'
	$(INSTALL) -m 755 '$(C_BUILT_DIR)/$(C_BUILT)' '$(DESTDIR)$(LIBDIR)/$(C_SHARED)'
	ln -sf '$(C_SHARED)' '$(DESTDIR)$(LIBDIR)/$(C_SONAME)'
	ln -sf '$(C_SONAME)' '$(DESTDIR)$(LIBDIR)/$(C_BUILT)'
	$(INSTALL) -m 644 '$(C_BUILT_DIR)/libtidegate.a' '$(DESTDIR)$(LIBDIR)/libtidegate.a'
	$(C_SUBSTITUTE) ffi/packaging/tidegate.pc.in > '$(DESTDIR)$(LIBDIR)/pkgconfig/tidegate.pc'
	$(C_SUBSTITUTE) ffi/packaging/tidegateConfig.cmake.in \
		> '$(DESTDIR)$(LIBDIR)/cmake/tidegate/tidegateConfig.cmake'
	$(C_SUBSTITUTE) ffi/packaging/tidegateConfigVersion.cmake.in \
		> '$(DESTDIR)$(LIBDIR)/cmake/tidegate/tidegateConfigVersion.cmake'

# Writes include/tidegate.h from ffi/src.
header:
	$(CARGO) run --quiet -p tidegate-header -- include/tidegate.h

# Is include/tidegate.h what `make header` would write?
header-check:
	@mkdir -p $(C_BUILD)
	$(CARGO) run --quiet -p tidegate-header -- $(C_BUILD)/tidegate.h
	@diff -u include/tidegate.h $(C_BUILD)/tidegate.h \
		|| { echo 'include/tidegate.h is not up to date: run `make header`' >&2; exit 1; }

# The programs of tests/c, built three ways, under valgrind where it is installed.
test-c: header-check
	$(CARGO) test --quiet -p tidegate-ffi
	$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) install \
		PREFIX=/opt/tidegate LIBDIR=/opt/tidegate/lib INCLUDEDIR=/opt/tidegate/include \
		DESTDIR='$(CURDIR)/$(C_BUILD)/stage'
	tests/c/run.sh '$(CURDIR)/$(C_BUILD)' '$(CURDIR)/$(C_BUILD)/stage' /opt/tidegate

# As test-c, and fails when valgrind is missing (Debian: apt-get install valgrind).
test-c-valgrind:
	@command -v valgrind > /dev/null \
		|| { echo 'test-c-valgrind needs valgrind (Debian: apt-get install valgrind)' >&2; exit 1; }
	$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) test-c
