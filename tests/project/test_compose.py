"""What the deployment files promise, asserted on what the Compose parser makes of them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

SECRETS = {"PRIVREC_POSTGRES_PASSWORD": "postgres-for-the-test", "PRIVREC_VALKEY_PASSWORD": "valkey-for-the-test"}
SERVICES = {"api", "postgres", "valkey", "worker"}


def compose(root: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "docker-compose"), "--file", str(root / "docker-compose.yml")]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    arguments = ["--env-file", os.devnull, "config", "--format", "json"]
    return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def services(root: Path) -> dict[str, dict[str, Any]]:
    result = compose(root, SECRETS)
    assert result.returncode == 0, result.stderr
    found: dict[str, dict[str, Any]] = json.loads(result.stdout)["services"]
    assert set(found) == SERVICES
    return found


@pytest.mark.parametrize("missing", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""])
def test_compose_refuses_to_be_read_without_each_secret(root: Path, missing: str, value: str | None) -> None:
    given = {name: secret for name, secret in SECRETS.items() if name != missing} | (
        {missing: value} if value is not None else {}
    )
    result = compose(root, given)
    assert result.returncode != 0
    assert f"required variable {missing} is missing a value" in result.stderr


def test_the_example_settings_hold_no_secret_that_would_work(root: Path) -> None:
    lines = [line.split("=", 1) for line in (root / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    assert {name: value for name, value in lines if "PASSWORD" in name} == dict.fromkeys(SECRETS, "")
    assert set(SECRETS) <= {name for name, _ in lines}


def test_every_variable_of_the_compose_file_is_in_the_example_settings(root: Path) -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (root / "docker-compose.yml").read_text()))
    assert used == {
        line.split("=")[0] for line in (root / ".env.example").read_text().splitlines() if line and line[0] != "#"
    }


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_has_no_rights_beyond_its_work(services: dict[str, dict[str, Any]], service: str) -> None:
    settings = services[service]
    assert settings["cap_drop"] == ["ALL"]
    assert "cap_add" not in settings
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["read_only"] is True
    assert settings["tmpfs"]
    assert settings["user"].split(":")[0] not in {"", "0", "root"}
    assert not settings.get("privileged", False)
    assert settings["pids_limit"] > 0


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_mounts_nothing_of_the_host(services: dict[str, dict[str, Any]], service: str) -> None:
    assert {volume["type"] for volume in services[service].get("volumes", [])} <= {"volume"}
    assert {"network_mode", "pid", "ipc", "devices"}.isdisjoint(services[service])


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_is_watched_and_waits_for_what_it_needs(services: dict[str, dict[str, Any]], service: str) -> None:
    assert services[service]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    conditions = {needed["condition"] for needed in services[service].get("depends_on", {}).values()}
    assert conditions <= {"service_healthy"}


def test_only_the_api_is_published_and_on_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    published = {name: settings["ports"] for name, settings in services.items() if settings.get("ports")}
    assert set(published) == {"api"}
    assert {port["host_ip"] for port in published["api"]} == {"127.0.0.1"}


def test_all_but_the_api_live_on_a_network_without_a_way_out(root: Path, services: dict[str, dict[str, Any]]) -> None:
    inner = yaml.safe_load((root / "docker-compose.yml").read_text())["networks"]["backend"]
    assert inner["internal"] is True
    assert {name for name, settings in services.items() if set(settings["networks"]) != {"backend"}} == {"api"}


def test_no_password_stands_in_a_command_line(services: dict[str, dict[str, Any]]) -> None:
    for settings in services.values():
        spoken = json.dumps([settings.get(key) for key in ("command", "entrypoint", "healthcheck")])
        assert not [secret for secret in SECRETS.values() if secret in spoken]


def test_the_cache_writes_nothing_to_a_disk(services: dict[str, dict[str, Any]]) -> None:
    settings = services["valkey"]["command"][0]
    assert 'save ""' in settings
    assert "appendonly no" in settings
    assert "volumes" not in services["valkey"]


def test_the_api_and_the_worker_are_given_the_servers_by_url(services: dict[str, dict[str, Any]]) -> None:
    for name in ("api", "worker"):
        environment = services[name]["environment"]
        assert environment["PRIVREC_DATABASE_URL"].startswith("postgresql://")
        assert environment["PRIVREC_REDIS_URL"].startswith("redis://")
        assert environment["PRIVREC_STATE_DIR"] in {volume["target"] for volume in services[name]["volumes"]}


def test_the_image_runs_as_nobody_in_particular_and_without_torch(root: Path) -> None:
    final = (root / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    users = re.findall(r"^USER (\S+)", final, flags=re.MULTILINE)
    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in final
    assert "'.[postgres]'" in (root / "Dockerfile").read_text()


def test_nothing_but_the_sources_of_the_image_reaches_its_builder(root: Path) -> None:
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (root / "Dockerfile").read_text(), flags=re.MULTILINE)
        for word in line.split()
    }
    assert copied == allowed
