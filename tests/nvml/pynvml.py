"""A stand-in for the driver's library: the calls of `nvidia-ml-py` that we make, with cards as a file says.

`NVML_STANDIN` names a JSON file: {"cards": [{"uuid", "name", "total", "used", "processes": [[pid, bytes]], "error",
"mig": [cards]}]}, read at each call, so that a test can change it. Names, arguments, results and errors are those of
the real library; a test holds the names against it.
"""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_FOUND, NVML_ERROR_GPU_IS_LOST, NVML_ERROR_DRIVER_NOT_LOADED = 3, 6, 15, 9
_WORDS = {3: "Not Supported", 6: "Not Found", 9: "Driver Not Loaded", 15: "GPU is lost"}


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _WORDS.get(self.value, "Unknown Error")


class NVMLError_NotFound(NVMLError):  # noqa: N801, N818 – the library's own name
    pass


def _cards() -> list[dict[str, Any]]:
    with open(os.environ["NVML_STANDIN"], encoding="utf-8") as file:
        found: list[dict[str, Any]] | None = json.load(file)["cards"]
    if found is None:
        raise NVMLError(NVML_ERROR_DRIVER_NOT_LOADED)
    return found


def nvmlInit() -> None:  # noqa: N802
    _cards()


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_cards())


def nvmlDeviceGetHandleByIndex(index: int) -> dict[str, Any]:  # noqa: N802
    card = _cards()[index]
    if card.get("error"):
        raise NVMLError(card["error"])
    return card


def nvmlDeviceGetMigMode(handle: dict[str, Any]) -> list[int]:  # noqa: N802
    if "mig" not in handle:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return [1, 1]


def nvmlDeviceGetMaxMigDeviceCount(handle: dict[str, Any]) -> int:  # noqa: N802
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(device: dict[str, Any], index: int) -> dict[str, Any]:  # noqa: N802
    if index >= len(device["mig"]):
        raise NVMLError_NotFound(NVML_ERROR_NOT_FOUND)
    part: dict[str, Any] = device["mig"][index]
    return part


def nvmlDeviceGetMemoryInfo(handle: dict[str, Any]) -> SimpleNamespace:  # noqa: N802
    used = handle.get("used", 0)
    return SimpleNamespace(total=handle["total"], used=used, free=handle["total"] - used)


def nvmlDeviceGetComputeRunningProcesses(handle: dict[str, Any]) -> list[SimpleNamespace]:  # noqa: N802
    return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in handle.get("processes", [])]


def nvmlDeviceGetUUID(handle: dict[str, Any]) -> str:  # noqa: N802
    uuid: str = handle["uuid"]
    return uuid


def nvmlDeviceGetName(handle: dict[str, Any]) -> str:  # noqa: N802
    name: str = handle.get("name", "NVIDIA A100")
    return name
