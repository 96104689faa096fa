"""A file that is no database any more: SQLite itself says so only when it reads it."""

import pytest
from tests.support.app import run

SCRIPT = """
from pathlib import Path
from watchroom.health import checks
file = Path(os.environ["TESTS_APP_DATA"], "db.sqlite3")
check = checks.checks()["database"]

def asked():
    try:
        check.run(1.0)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ok"

said = {"removed": asked(), "made": file.exists()}
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE books (id INTEGER)")
said["well"] = asked()
connection.close()
file.write_bytes(b"nothing that SQLite would know " * 300)
said["overwritten"] = asked()
connection.settings_dict["NAME"] = ":memory:"
said["memory"] = asked()
show(said)
"""


@pytest.mark.parametrize("folder", ["plain", "100% odd? #1"])
def test_a_file_that_is_gone_or_no_database_fails_and_none_is_made(tmp_path, folder):
    data = tmp_path / folder
    data.mkdir()
    assert run(tmp_path / "run", SCRIPT, TESTS_APP_DATA=str(data)) == {
        "removed": "OperationalError: unable to open database file",
        "made": False,
        "well": "ok",
        "overwritten": "DatabaseError: file is not a database",
        "memory": "ok",
    }
