from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.registry_contract import NARROW, RegistryContract, avro
from tests.support_registry import MemoryRegistry

from ashioto.errors import RegistryError
from ashioto.schema.registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def client(self) -> SchemaRegistry:
        return SchemaRegistry("http://registry", transport=MemoryRegistry())


class TestRealRegistry(RegistryContract):
    @pytest.fixture
    def client(self, registry: str) -> Iterator[SchemaRegistry]:
        with SchemaRegistry(registry) as client:
            yield client

    def test_it_refuses_what_avro_cannot_read(self, client: SchemaRegistry, subject: str) -> None:
        client.register(subject, avro(NARROW))
        fields = [{"name": "must", "type": "long"}]
        wrong = {"type": "record", "name": "rate", "namespace": "ashioto", "fields": fields}
        assert client.incompatible(subject, wrong) != []
        with pytest.raises(RegistryError, match=f"refuses {subject}") as error:
            client.register(subject, wrong)
        assert error.value.ids["status"] == 409

    def test_it_refuses_nonsense(self, client: SchemaRegistry, subject: str) -> None:
        with pytest.raises(RegistryError, match=f"refuses {subject}") as error:
            client.register(subject, {"nonsense": 1})
        assert error.value.ids["status"] == 422

    def test_another_path_of_the_same_server_is_no_registry(self, registry: str) -> None:
        with (
            SchemaRegistry(f"{registry}/elsewhere") as client,
            pytest.raises(RegistryError, match="does not answer as a schema registry does"),
        ):
            client.by_id(1)
