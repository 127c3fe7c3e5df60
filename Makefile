# `make run` and `make test` need Python 3.11 or newer, git and internet at first; afterwards nothing but this directory.

PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version) 2>/dev/null)) python3)
BIN := .venv/bin
SETUP := pyproject.toml constraints.txt
TESTS ?= tests/unit tests/integration tests/fuzz
BENCHMARK_TESTS ?= tests/benchmarks
TEST_PROCESSES ?= 2
SIDE_BY_SIDE := --numprocesses $(TEST_PROCESSES) --dist loadfile
KAFKA_TESTS ?= tests/kafka tests/integration/test_stream.py
KAFKA_JARS := .voxpop/kafka/libs
KAFKA_PORT ?= 9092
SBOM_MAKER := 7.5.0
AUDITOR := 2.10.1
CHAOS_FAULTS ?= 8

.PHONY: run test bench-check install packs lint fuzz kafka kafka-jars test-kafka test-chaos test-browser sbom audit clean

run: packs
	@$(BIN)/voxpop up $(if $(ONCE),--once)

install: .venv/installed

packs: .venv/installed
	@$(BIN)/voxpop packs build --if-missing

# Whole files side by side, each process with stacks of its own; what measures speed comes alone, afterwards.
test: .venv/installed-for-tests packs lint
	$(BIN)/pytest $(SIDE_BY_SIDE) $(TESTS)
	$(BIN)/pytest $(BENCHMARK_TESTS)

# The same promises on Apache Kafka itself. Needs Java 17 or newer, and Maven once.
test-kafka: .venv/installed-for-tests packs kafka-jars
	VOXPOP_TEST_BROKER=kafka $(BIN)/pytest $(KAFKA_TESTS)

# Breaks everything while a known stream runs, with a new seed each time (it is printed), and the protocol itself.
test-chaos: .venv/installed-for-tests packs kafka-jars
	$(BIN)/pytest tests/chaos
	$(BIN)/voxpop chaos --broker embedded --faults $(CHAOS_FAULTS) --events 1200
	$(BIN)/voxpop chaos --broker kafka --faults $(CHAOS_FAULTS) --events 1200

# Every page in real Chromium, which has to be there (on Debian: apt-get install chromium).
test-browser: .venv/installed-for-browser-tests packs
	$(BIN)/pytest tests/browser

# Fails when a ratio is worse than its noise explains (tests/benchmarks/usual.json: its mean over some runs, and their deviation).
bench-check: .venv/installed packs
	$(BIN)/voxpop bench --quick --part pipeline --part plumbing --part cache --against tests/benchmarks/usual.json

# The front door with 10,000 mutated messages; the seed is printed, and FUZZ_SEED=… repeats it.
fuzz: .venv/installed-for-tests packs
	VOXPOP_FUZZ_MESSAGES=10000 VOXPOP_FUZZ_SEED=$(FUZZ_SEED) $(BIN)/pytest -s tests/fuzz

kafka: .venv/installed kafka-jars
	@$(BIN)/python -m workers.embedded.kafka --data .voxpop/kafka/data --port $(KAFKA_PORT)

kafka-jars: $(KAFKA_JARS)

# What is installed in .venv, as a CycloneDX bill of materials: names, versions, licences.
sbom: .venv/installed .venv/sbom-maker
	@.venv/sbom-maker/bin/cyclonedx-py environment --pyproject pyproject.toml --output-format JSON --output-reproducible \
		--output-file .voxpop/sbom.json $(BIN)/python
	@echo "wrote .voxpop/sbom.json"

# Apart from .venv, so that what makes the bill is not on it.
.venv/sbom-maker: | .venv/installed
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==$(SBOM_MAKER)
	@touch $@

# Whether what is installed fits together, and whether advisories are known of it, where a service that knows them is in reach.
# AUDIT_OPTIONS are pip-audit's own: --vulnerability-service osv, for instance.
audit: .venv/installed .venv/auditor
	@$(BIN)/python -m pip --disable-pip-version-check check
	@$(BIN)/python .ci/audit.py .venv/auditor/bin/pip-audit \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(AUDIT_OPTIONS)

# Apart from .venv, so that it does not audit itself.
.venv/auditor: | .venv/installed
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==$(AUDITOR)
	@touch $@

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: $(SETUP)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Voxpop needs Python 3.11 or newer, $(PYTHON) is older: install one, or name it: make $(MAKECMDGOALS) PYTHON=…"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (about 470 MB to download the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dashboard]'
	@touch $@

.venv/installed-for-tests: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dashboard,train,eval,test]'
	@touch $@

.venv/installed-for-browser-tests: .venv/installed-for-tests
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dashboard,browser,train,eval,test]'
	@touch $@

# Moved into place only when complete: a directory that is there can be used.
$(KAFKA_JARS): deploy/kafka/pom.xml
	@command -v mvn >/dev/null || { echo "Apache Kafka's jars are fetched by Maven and there is no mvn: install it (on Debian: apt-get install maven)"; exit 2; }
	@echo "fetching Apache Kafka's jars (43 MB the first time)"
	@rm -rf $@ $@.part
	@mvn --quiet --batch-mode --file deploy/kafka/pom.xml dependency:copy-dependencies -Djars=$(CURDIR)/$@.part </dev/null
	@mv $@.part $@ && touch $@

clean:
	rm -rf .venv .voxpop
