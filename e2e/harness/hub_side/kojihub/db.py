"""What koji-sweep-db asks of its database module, over psycopg2: statements from tables, clauses and values."""

import psycopg2
import psycopg2.extras

from koji.context import context

_options = {}


def provideDBopts(**options):
    """Remembers how to reach the database."""
    _options.update({key: value for key, value in options.items() if value is not None})


def connect():
    """Opens the database."""
    return psycopg2.connect(**_options)


def _run(sql, values):
    cursor = context.cnx.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    bound = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    cursor.execute(sql, bound)
    return cursor


def _where(clauses):
    return " WHERE " + " AND ".join(f"({clause})" for clause in clauses) if clauses else ""


class QueryProcessor:
    """A SELECT."""

    def __init__(self, columns=None, tables=None, clauses=None, values=None, opts=None):
        self.count = bool((opts or {}).get("countOnly"))
        wanted = "count(*) AS number" if self.count else ", ".join(columns)
        self.sql, self.values = f"SELECT {wanted} FROM {', '.join(tables)}{_where(clauses)}", values or {}

    def execute(self):
        """The rows as dictionaries, or their number."""
        rows = _run(self.sql, self.values).fetchall()
        return rows[0]["number"] if self.count else rows


class DeleteProcessor:
    """A DELETE."""

    def __init__(self, table, clauses=None, values=None):
        self.sql, self.values = f"DELETE FROM {table}{_where(clauses)}", values or {}

    def execute(self):
        """How many rows went."""
        return _run(self.sql, self.values).rowcount


class BulkInsertProcessor:
    """An INSERT of many rows."""

    def __init__(self, table):
        self.table, self.rows = table, []

    def add_record(self, **row):
        """Adds a row."""
        self.rows.append(row)

    def execute(self):
        """Inserts the rows, if there are any."""
        for row in self.rows:
            marks = ", ".join(f"%({name})s" for name in row)
            _run(f"INSERT INTO {self.table} ({', '.join(row)}) VALUES ({marks})", row)
