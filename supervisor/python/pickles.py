"""Functions, arguments and what comes back as bytes: which pickler is used for what, and how a remote exception looks.

Plain pickle where that carries over, as it is many times faster. It names functions by their module, which another
process has to find: what belongs to `__main__`, a lambda, an inner function go by value, with cloudpickle (the extra
`gristmill[python]`, or the copy that joblib brings).
"""

from __future__ import annotations

import copyreg
import io
import pickle
import traceback
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

MAIN = b"__main__"


class RemoteTraceback(Exception):  # noqa: N818 - no error of its own: where one happened
    """Where a call failed in its worker: the `__cause__` of the exception that a future raises here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def dumps(value: Any, reducers: Mapping[type, Callable[[Any], Any]] | None = None) -> bytes:
    """`value` in bytes that another process can read; raises what the pickler raises where there are none.

    `reducers` say how objects of some types are pickled, as those in `copyreg` do.
    """
    buffer = io.BytesIO()
    plain = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    if reducers:
        plain.dispatch_table = {**copyreg.dispatch_table, **reducers}
    reason: Exception | None = None
    try:
        plain.dump(value)
        if MAIN not in (found := buffer.getvalue()):
            return found
    except Exception as error:  # noqa: BLE001 - whatever a value's own methods raise: cloudpickle may know better
        reason = error
    cloud = _cloudpickle()
    if cloud is None:
        raise reason or pickle.PicklingError(
            "a function or class of __main__ goes to a worker by value, which takes cloudpickle"
            " – pip install 'gristmill[python]', or move it into a module"
        )
    buffer = io.BytesIO()
    pickler = cloud.CloudPickler(buffer, pickle.HIGHEST_PROTOCOL)
    if reducers:
        pickler.dispatch_table = ChainMap(dict(reducers), cloud.CloudPickler.dispatch_table)
    pickler.dump(value)
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """The value again."""
    return pickle.loads(data)


def failure(error: BaseException) -> bytes:
    """An exception in bytes, with its traceback as text; where it can't be pickled, what was wrong with that."""
    text = "".join(traceback.format_exception(error))
    try:
        return dumps((False, error, text))
    except Exception as unfit:  # noqa: BLE001 - the exception's own methods may raise anything
        return dumps((False, _plain(unfit), "".join(traceback.format_exception(unfit)) + text))


def success(value: Any) -> bytes:
    """A value in bytes; where it can't be pickled, the exception that says so."""
    try:
        return dumps((True, value, ""))
    except Exception as unfit:  # noqa: BLE001 - as above
        return failure(_plain(unfit))


def _plain(error: Exception) -> Exception:
    """`error`, or words of it where it can't be pickled itself."""
    try:
        pickle.dumps(error)
        return error
    except Exception:  # noqa: BLE001 - as above
        return pickle.PicklingError(str(error))


def _cloudpickle() -> Any:
    try:
        import cloudpickle

        return cloudpickle
    except ImportError:
        pass  # joblib brings one
    try:
        from joblib.externals import cloudpickle

        return cloudpickle
    except ImportError:
        return None
