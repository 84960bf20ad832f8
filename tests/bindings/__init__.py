"""The calls that are held to the claims, a file for each module of the code; importing this enters all."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
