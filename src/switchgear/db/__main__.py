"""`python -m switchgear.db`: bring the database whose URL is on standard input to the head.

Exits with 1 and a line of JSON, `{"error": …}`, where that failed. Only our own messages are told in full: a driver's
may hold what was sent to it.
"""

from __future__ import annotations

import asyncio
import sys

import orjson

from switchgear.db.migrate import migrate
from switchgear.errors import DatabaseError


def main() -> int:
    """Returns the exit status."""
    try:
        asyncio.run(migrate(sys.stdin.read()))
    except DatabaseError as error:
        reason = str(error)
    except Exception as error:
        reason = f"the database cannot be migrated: {type(getattr(error, 'orig', None) or error).__name__}"
    else:
        return 0
    sys.stdout.buffer.write(orjson.dumps({"error": reason}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
