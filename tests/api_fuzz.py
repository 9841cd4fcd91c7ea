"""``python -m tests.api_fuzz --examples 40``: schemathesis over the gateway's API and the review pages, no answer 5xx.

The gateway's document is the one in ``docs/reference``; that of the pages is made here, of their routes and of the
fields of their forms. schemathesis runs from ``.cache/api-venv`` (``make api-fuzz``), beside the product.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from central.gateway.openapi import document
from central.review.access import Role
from central.review.registry import all_routes
from tests.gateway.rig import Unit, picture_in_parts
from tests.review.live import PASSWORD, Centre, running_centre
from tests.review.rig import pages_in

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".cache" / "api-venv" / "bin" / "schemathesis"
SEED = 20261126
ENDS_THE_SESSION = {"/sign-out", "/password", "/sign-in"}
_FIELD = re.compile(r'\bname="([a-z_]+)"')
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def main(arguments: list[str]) -> int:
    """0 when every answer was below 500 and both processes live, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.api_fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="for each operation")
    options = parser.parse_args(arguments)
    if not PROGRAM.exists():
        sys.stderr.write("schemathesis is not here; 'make api-fuzz' sets it up\n")
        return 3
    with tempfile.TemporaryDirectory(prefix="qafila-fuzz-") as name, running_centre(Path(name)) as centre:
        folder = Path(name)
        with Unit(centre.gateway.url, "fuzz") as unit:
            unit.join(centre.gateway)
            picture = picture_in_parts(folder, 20_000, seed=1)
            unit.send(picture)
            api = document()
            for path, method in (("/v1/parts", "post"), ("/v1/parts/{part}", "patch")):
                body = api["paths"][path][method]["requestBody"]
                body["content"] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
            # A question that waits half a minute for news would be most of the run.
            api["paths"]["/v1/inbox"]["get"]["parameters"][1]["schema"]["maximum"] = 1
            known = {"study": picture.study_uid, "part": picture.instance.pixels}
            gateway = _run(
                folder, "gateway", centre.gateway.url, with_examples(api, known), unit.auth, options.examples
            )
        pages = _pages(folder, centre, picture.study_uid, picture.uid, options.examples)
        said = [
            *centre.gateway.log_text().splitlines(),
            *(folder / "review.log").read_text(encoding="utf-8").splitlines(),
        ]
        faults = sorted({line.partition(" ")[2] for line in said if " fault " in line})
        print(f"gateway: exit code {gateway}; pages: exit code {pages}; faults in the logs: {faults}")
        return 0 if (gateway, pages, faults) == (0, 0, []) else 1


def with_examples(api: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """The document with names of things that are there, so that more than 404 is asked for."""
    for operations in api["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"anyOf": [{"const": known[parameter["name"]]}, parameter["schema"]]}
    return api


def _pages(folder: Path, centre: Centre, uid: str, sop: str, example_count: int) -> int:
    worst = 0
    for role in (Role.READER, Role.COORDINATOR, Role.ADMIN):
        centre.account(role.value, role)
        with httpx.Client(base_url=centre.url, trust_env=False) as browser:
            secret = _CSRF.search(browser.get("/sign-in").text)
            assert secret is not None
            fields = {"name": role.value, "password": PASSWORD, "next": "/", "csrf": secret[1]}
            assert browser.post("/sign-in", data=fields).status_code == 303
            inside = _CSRF.search(browser.get("/").text)
            assert inside is not None
            cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)
        api = with_examples(pages_document(inside[1]), {"uid": uid, "sop": sop})
        worst = max(worst, _run(folder, f"pages-{role.value}", centre.url, api, {"Cookie": cookie}, example_count))
    return worst


def pages_document(csrf: str) -> dict[str, Any]:
    """The review pages' routes; every form may have any field of any form, and brings back the session's secret."""
    templates = (ROOT / "central").rglob("*.html")
    names = {name for page in templates for name in _FIELD.findall(page.read_text(encoding="utf-8"))} - {"csrf"}
    form = {
        "type": "object",
        "required": ["csrf"],
        "properties": {"csrf": {"const": csrf}, **{name: {"type": "string"} for name in sorted(names)}},
    }
    body = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}}
    query = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in ("q", "unit", "state", "day", "page")]
    paths: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, pages_in(Path(folder)) as made:
        routes = [route for route in all_routes(made.site) if getattr(route, "path", "/") not in ENDS_THE_SESSION]
    for route in routes:
        path, methods = getattr(route, "path", ""), getattr(route, "methods", None) or set()
        words = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", path)
        ]
        for method in sorted(methods - {"HEAD"}):
            operation: dict[str, Any] = {"parameters": [*words, *(query if method == "GET" else [])]}
            operation["responses"] = {"default": {"description": "A page"}}
            if method != "GET":
                operation["requestBody"] = body
            paths.setdefault(path, {})[method.lower()] = operation
    return {"openapi": "3.1.0", "info": {"title": "Pages", "version": "1"}, "paths": paths}


def _run(folder: Path, name: str, url: str, api: dict[str, Any], headers: dict[str, str], example_count: int) -> int:
    spec = folder / f"{name}.json"
    spec.write_text(json.dumps(api), encoding="utf-8")
    said = [word for key, value in headers.items() for word in ("--header", f"{key}:{value}")]
    command = [str(PROGRAM), "run", str(spec), "--url", url, "--checks", "not_a_server_error", *said]
    command += ["--max-examples", str(example_count), "--seed", str(SEED), "--phases", "examples,coverage,fuzzing"]
    command += [
        "--suppress-health-check",
        "all",
        "--request-timeout",
        "60",
        "--warnings",
        "off",
        "--max-redirects",
        "0",
    ]
    return subprocess.run([*command, "--no-color"], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
