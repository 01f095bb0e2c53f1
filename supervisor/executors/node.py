"""What runs on a node: `node.py FOLDER SLOT` runs the tasks of one slot of a chunk, one after another.

A program of three files (`node_task`, `node_ground`), two more where tasks are calls, run by path with the node's own
Python (3.6 or newer, stdlib only): no Gristmill is installed there. It is started for every slot, so nothing is
imported that takes long, and this file, which Python compiles anew at each start, is short.

TERM (the engine's, or a mark of the daemon's in the folder) ends the task in hand and the rest is left to others. The
daemon reads `rec/` and nothing else.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
MYPY = False
if MYPY:
    import signal
    from typing import Any, Dict, Iterator, List, Tuple

    from gristmill.supervisor.executors import node_ground as ground
    from gristmill.supervisor.executors import node_task
elif __package__:
    from gristmill.supervisor.executors import node_ground as ground
    from gristmill.supervisor.executors import node_task
    from gristmill.supervisor.executors.node_ground import Any, Dict, Iterator, List, Tuple, signal
else:
    sys.path.insert(0, _HERE)
    import node_ground as ground
    import node_task
    from node_ground import Any, Dict, Iterator, List, Tuple, signal

    while _HERE in sys.path:
        sys.path.remove(_HERE)  # our neighbours are nobody's modules


def orders(folder: str, first: int, count: int) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """(index, order) of some tasks of a chunk; `index` holds where in `tasks` each begins, and where the last ends."""
    with open(os.path.join(folder, "index"), "rb") as file:
        file.seek(8 * first)
        data = file.read(8 * (count + 1))
    places = [int.from_bytes(data[at:at + 8], "little") for at in range(0, len(data), 8)]
    with open(os.path.join(folder, "tasks"), "rb") as file:
        for number, (start, end) in enumerate(zip(places, places[1:])):
            file.seek(start)
            yield first + number, ground.read_json(file.read(end - start).decode("utf-8", "surrogateescape"))


def main(folder: str, slot: int) -> None:
    """Runs the tasks of a slot."""
    ended: List[int] = []
    signal.pthread_sigmask(signal.SIG_BLOCK, ground.HEARD)
    for number in ground.ENDS:
        signal.signal(number, signal.SIG_DFL)  # to be ignored would be to never hear it
    ground.become_subreaper()

    def told(seconds: float) -> bool:
        """Waits for a signal, so many seconds at most; whether an end was asked for."""
        found = signal.sigtimedwait(ground.HEARD, seconds)
        if found is not None and found.si_signo in (signal.SIGTERM, signal.SIGINT):
            ended.append(found.si_signo)
        return bool(ended)

    os.chdir(folder)
    with open("chunk.json", encoding="utf-8") as file:
        chunk = ground.read_json(file.read())
    context = chunk["context"]
    maker = make_calls(context) if "call" in context else None
    for index, order in orders(folder, slot * chunk["pack"], chunk["pack"]):
        task = node_task.Task(folder, context, index, order, maker)
        if told(0) or task.is_taken() or not task.claim():
            continue
        if maker is None or task.is_callable(told):
            task.run(told)
        elif task.is_unfit:
            break  # nothing of the job can be run here: the rest of it is not begun
    if maker is not None:
        maker.close()


def make_calls(context: Dict[str, Any]) -> Any:
    """What makes the calls that tasks are."""
    sys.path.insert(0, _HERE)
    import node_maker  # type: ignore[import-not-found]  # not before it is needed: it imports what takes long

    sys.path.remove(_HERE)
    env = node_task.environment(context, {"env": {}}, {"result": "", "progress": ""})

    def born() -> None:
        os.setsid()
        ground.call_off(context.get("nice") or 0)

    return node_maker.maker(context["call"], env, context["cwd"], born)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))
