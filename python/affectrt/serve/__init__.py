"""An OpenAI-compatible server on the device, for robot stacks that speak that language. Extra `serve`: starlette and uvicorn."""

try:
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f'serving needs starlette and uvicorn, and {error.name} is not installed: pip install "affectrt[serve]"') from error

from affectrt.serve.server import Server
from affectrt.serve.settings import Limits

__all__ = ["Limits", "Server"]
