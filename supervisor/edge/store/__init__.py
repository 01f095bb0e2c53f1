"""The durable record, the only place that holds SQL: its tables, what can be written, what can be asked, and the
writer thread between them."""

from gristmill.supervisor.edge.store.schema import SCHEMA
from gristmill.supervisor.edge.store.statements import (
    Statement,
    add_job,
    checkpoint,
    drop_job,
    drop_records,
    drop_results,
    drop_task,
    place_job,
    place_log,
    save_job,
    save_meta,
    save_result,
    save_spec,
    save_task,
    shrink,
)
from gristmill.supervisor.edge.store.writer import Store

__all__ = [
    "SCHEMA", "Statement", "Store", "add_job", "checkpoint", "drop_job", "drop_records", "drop_results", "drop_task",
    "place_job", "place_log", "save_job", "save_meta", "save_result", "save_spec", "save_task", "shrink",
]
