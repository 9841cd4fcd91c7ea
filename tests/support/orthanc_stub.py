"""A stand-in for the ``orthanc`` module: what a test did not stub raises, so nothing is called unseen."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import appliance.orthanc


class OrthancStub(ModuleType):
    """Records what the plugin registers; every other attribute raises ``AssertionError``."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        super().__init__("orthanc")
        self.registered: dict[str, tuple[Any, ...]] = {}
        self.GetConfiguration = lambda: json.dumps(configuration)
        for name in (
            "StorageArea",
            "IncomingCStoreInstanceFilter",
            "OnStoredInstanceCallback",
            "RestCallback",
            "WorklistCallback",
        ):
            setattr(self, f"Register{name}", self._recorder(name))

    def _recorder(self, name: str) -> Callable[..., None]:
        def register(*arguments: Any) -> None:
            assert name not in self.registered, f"{name} was registered twice"
            self.registered[name] = arguments

        return register

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AssertionError(f"orthanc.{name} was used, and this test does not expect it")


class InstanceStub:
    """Orthanc's ``DicomInstance`` or ``WorklistQuery``; every method the test did not give raises."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[[], Any]:
        answers = object.__getattribute__(self, "_answers")
        if name not in answers:
            raise AssertionError(f"{name}() was called, and this test does not expect it")
        return lambda: answers[name]


class AnswersStub:
    """Orthanc's ``WorklistAnswers``: keeps what was added."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.is_complete = True

    def WorklistAddAnswer(self, query: object, file: bytes) -> None:
        assert isinstance(query, InstanceStub)
        self.files.append(file)

    def WorklistMarkIncomplete(self) -> None:
        self.is_complete = False


class OutputStub:
    """Orthanc's ``RestOutput``: keeps the answer."""

    def __init__(self) -> None:
        self.answer = b""
        self.content_type = ""
        self.allowed = ""

    def AnswerBuffer(self, body: str, content_type: str) -> None:
        self.answer, self.content_type = body.encode(), content_type

    def SendMethodNotAllowed(self, allowed: str) -> None:
        self.allowed = allowed


def load_plugin(stub: OrthancStub, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run ``plugin.py`` as Orthanc does: its folder first on ``sys.path``, ``orthanc`` built in; undone by the test."""
    path = Path(appliance.orthanc.__file__).with_name("plugin.py")
    monkeypatch.setitem(sys.modules, "orthanc", stub)
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    spec = importlib.util.spec_from_file_location("qafila_plugin_under_test", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
