# The project's commands; `make help` lists them.

PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
LAB = /usr/bin/python3 -m lab
NODE ?= node1
LIST ?= must

.PHONY: help demo check check-all check-unit lab-up lab-down lab-shell tempest deb clean root bench-api bench-dhcp bench-events bench-firewall bench-images bench-networks bench-storage

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: root  ## a real cluster, a tenant's VMs on it, end to end (root)
	@$(LAB) demo

check:  ## every test, with lint and types, on a real cluster (without root: check-unit)
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory check-all; else \
		echo "Not root: the pure tests alone. All of them: sudo make check"; $(MAKE) --no-print-directory check-unit; fi

check-all: root .venv/stamp deb
	@tests/check

check-unit:  ## the tests that need neither root nor lab; PYTHON=python3 to choose one
	@$(PYTHON) -m pytest -q -m "not lab" tests/unit

lab-up: root  ## bring the cluster up, with this tree's packages (root)
	@$(LAB) up

lab-down: root  ## take it away without a trace (root)
	@$(LAB) down

lab-shell: root  ## a shell on NODE=node1 (root)
	@$(LAB) shell $(NODE)

tempest: root  ## OpenStack's own tests, tempest, on that cluster; LIST=reasonable for more, ARGS="--regex NAME" for some (root)
	@$(LAB) tempest --list $(LIST) -- $(ARGS)

bench-api: root  ## measure the API beside Ganeti's own, 10 minutes; ARGS=--quick for 3 (root)
	@/usr/bin/python3 -m bench.api $(ARGS)

bench-dhcp: root  ## measure nfdhcpd beside dnsmasq and Kea, 10 minutes; ARGS=--quick for 3 (root)
	@/usr/bin/python3 -m bench.dhcp $(ARGS)

bench-events: root  ## measure the update path beside the least it can cost, 10 minutes; ARGS=--quick for 2 (root)
	@/usr/bin/python3 -m bench.events $(ARGS)

bench-firewall: root  ## measure taps and firewall, with 1,000 taps, 10 minutes; ARGS=--quick for 1 (root)
	@/usr/bin/python3 -m bench.firewall $(ARGS)

bench-images: root  ## measure the image store beside qemu-img and full copies; ARGS=--quick for less (root)
	@/usr/bin/python3 -m bench.images $(ARGS)

bench-networks: root  ## measure networks and ports beside the least they can cost, 5 minutes; ARGS=--quick for 1 (root)
	@/usr/bin/python3 -m bench.networks $(ARGS)

bench-storage: root  ## measure the providers of disks beside what is below, 15 minutes; ARGS=--quick for 3 (root)
	@/usr/bin/python3 -m bench.storage $(ARGS)

deb:  ## build the packages into build/deb
	@debian/build

clean:  ## remove what was built
	rm -rf build .venv bench/out frontend/page/static/lib

root:
	@[ "$$(id -u)" = 0 ] || { echo "this needs root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

.venv/stamp: tests/requirements.txt
	@$(LAB) setup
	@/usr/bin/python3 -m venv .venv
	@.venv/bin/pip install --quiet --requirement tests/requirements.txt
	@touch $@
