"""What the client promises on every schema registry; a test class each inherits it and says how to reach one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ashioto.errors import RegistryError
from ashioto.schema.avro import TEXT_CODES, arrow_schema, avro_schema

if TYPE_CHECKING:
    from ashioto.schema.registry import SchemaRegistry

NARROW = pa.schema({"symbol": TEXT_CODES, "price": pa.decimal64(18, 5)})
WIDER = NARROW.append(pa.field("at", pa.timestamp("ms", tz="UTC")))


def avro(schema: pa.Schema, name: str = "rate") -> dict[str, object]:
    return avro_schema(schema, name=name)


class RegistryContract:
    @pytest.fixture
    def client(self) -> SchemaRegistry:
        raise NotImplementedError

    @pytest.fixture
    def subject(self, unique: str) -> str:
        return f"{unique}.rate-value"

    def test_what_is_registered_is_found_by_number_and_subject(self, client: SchemaRegistry, subject: str) -> None:
        number = client.register(subject, avro(NARROW))
        found = client.latest(subject)
        assert found is not None
        assert (found.id, found.version, found.schema) == (number, 1, avro(NARROW))
        assert client.by_id(number) == avro(NARROW)
        assert subject in client.subjects()

    def test_columns_come_back_as_they_were(self, client: SchemaRegistry, subject: str) -> None:
        assert arrow_schema(client.by_id(client.register(subject, avro(WIDER)))).equals(WIDER)

    def test_registering_twice_changes_nothing(self, client: SchemaRegistry, subject: str) -> None:
        numbers = {client.register(subject, avro(NARROW)) for _ in range(3)}
        assert [version.id for version in client.versions(subject)] == [*numbers]

    def test_a_column_may_come_and_go(self, client: SchemaRegistry, subject: str) -> None:
        for schema in (NARROW, WIDER, NARROW):
            assert client.incompatible(subject, avro(schema)) == []
            number = client.register(subject, avro(schema))
            newest = client.latest(subject)
            assert newest is not None
            assert (newest.id, newest.schema) == (number, avro(schema))
            assert client.register(subject, avro(schema)) == number
        assert [v.schema for v in client.versions(subject)] == [avro(NARROW), avro(WIDER), avro(NARROW)]
        assert arrow_schema(client.by_id(number)).equals(NARROW)

    @pytest.mark.parametrize("kind", [pa.int64(), pa.decimal64(18, 4), pa.float64()], ids=str)
    def test_a_column_keeps_its_type_in_all_versions(
        self, client: SchemaRegistry, subject: str, kind: pa.DataType
    ) -> None:
        client.register(subject, avro(NARROW))
        client.register(subject, avro(NARROW.remove(1)))
        again = NARROW.remove(1).append(pa.field("price", kind))
        assert client.incompatible(subject, avro(again)) == [f"in version 1 price is decimal64(18, 5), not {kind}"]

    def test_a_new_subject_is_compatible_with_anything(self, client: SchemaRegistry, subject: str) -> None:
        assert client.incompatible(subject, avro(NARROW)) == []

    def test_a_subject_is_compatible_with_all_its_versions(self, client: SchemaRegistry, subject: str) -> None:
        client.register(subject, avro(NARROW))
        assert client.compatibility(subject) == "BACKWARD_TRANSITIVE"

    def test_where_nothing_is_set_the_level_is_that_of_the_registry(self, client: SchemaRegistry, subject: str) -> None:
        assert client.compatibility(subject) in {"NONE", "BACKWARD"}

    def test_a_level_that_somebody_has_set_stays(self, client: SchemaRegistry, subject: str) -> None:
        client.register(subject, avro(NARROW))
        client.set_compatibility(subject, "FULL_TRANSITIVE")
        client.register(subject, avro(WIDER))
        assert client.compatibility(subject) == "FULL_TRANSITIVE"

    def test_a_deleted_subject_may_begin_anew(self, client: SchemaRegistry, subject: str) -> None:
        client.register(subject, avro(NARROW))
        client.delete(subject)
        assert client.latest(subject) is None
        assert client.versions(subject) == []
        assert subject not in client.subjects()
        other = avro(pa.schema({"price": pa.string()}))
        assert client.incompatible(subject, other) == []
        client.register(subject, other)
        newest = client.latest(subject)
        assert newest is not None
        assert newest.schema == other

    def test_deleting_twice_changes_nothing(self, client: SchemaRegistry, subject: str) -> None:
        client.delete(subject)
        client.delete(subject)
        assert client.latest(subject) is None

    def test_an_unknown_number_has_status_404(self, client: SchemaRegistry) -> None:
        with pytest.raises(RegistryError, match="does not know schema 2000000000") as error:
            client.by_id(2_000_000_000)
        assert error.value.ids["status"] == 404

    def test_names_with_separators_are_subjects_of_their_own(self, client: SchemaRegistry, subject: str) -> None:
        client.register(f"{subject}/a b", avro(NARROW))
        assert client.latest(subject) is None
        assert f"{subject}/a b" in client.subjects()
