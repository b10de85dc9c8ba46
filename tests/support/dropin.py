"""A folder of drop-in plugins, and in it an output of which a test knows every option."""

from pathlib import Path

TIN_CAN = """
import msgspec
from typing import Annotated
from edgevoice import Output, hookimpl

class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    string: str
    length: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    holes: list[int] = []

class TinCan(Output):
    options = Options
    async def play(self, audio, rate, progress): ...

@hookimpl
def edgevoice_register(register):
    register.output("tin_can", TinCan)
"""
NEEDY = """
from edgevoice import Output, hookimpl

class Needy(Output):
    @classmethod
    def missing_dependency(cls):
        return "needs a thing: pip install thing"
    async def play(self, audio, rate, progress): ...

@hookimpl
def edgevoice_register(register):
    register.output("needy", Needy)
"""
FURNISHED = """
import msgspec
from edgevoice import Observer, hookimpl

class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int = 80
    hosts: tuple[str, ...] = ()
    def __post_init__(self):
        if self.port == 13:
            raise ValueError("13 brings bad luck")

class Page(Observer):
    options = Options

@hookimpl
def edgevoice_register(register):
    register.observer("page", Page)
"""


def dropin(folder: Path, **plugins: str) -> Path:
    """Write plugins, by name, into a folder that only its owner can change."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name, source in plugins.items():
        file = folder / f"{name}.py"
        file.write_text(source)
        file.chmod(0o644)
    return folder
