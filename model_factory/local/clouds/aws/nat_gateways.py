"""NAT gateways that take time to come and to go, as moto's do not."""

from __future__ import annotations

import functools
from typing import Any

from model_factory.local.clouds.aws.clock import CLOCK


def take_over() -> None:
    """Make moto's NAT gateways pass through pending and deleting, and give their address back at the end."""
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models.nat_gateways import NatGatewayBackend
    from moto.ec2.utils import generic_filter

    create: Any = NatGatewayBackend.create_nat_gateway
    describe: Any = NatGatewayBackend.describe_nat_gateways

    @functools.wraps(describe)
    def describe_nat_gateways(self: Any, filters: Any, nat_gateway_ids: list[str] | None) -> Any:
        # moto passes over filters by tag, and answers with every gateway.
        tags = {name: values for name, values in (filters or {}).items() if name.startswith("tag")}
        return generic_filter(tags, describe(self, filters, nat_gateway_ids))

    @functools.wraps(create)
    def create_nat_gateway(self: Any, *args: Any, **kwargs: Any) -> Any:
        gateway = create(self, *args, **kwargs)
        gateway.state = "pending"

        def available() -> None:
            if gateway.state == "pending":
                gateway.state = "available"

        CLOCK.after(CLOCK.transition_seconds, available)
        return gateway

    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gateway = self.nat_gateways.get(nat_gateway_id)
        if gateway is None:
            raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
        if gateway.state in {"deleting", "deleted"}:
            return gateway
        gateway.state = "deleting"
        interfaces = [address["networkInterfaceId"] for address in gateway.address_set]

        def deleted() -> None:
            gateway.state = "deleted"
            for address in self.addresses:
                if address.association_id and address.network_interface_id in interfaces:
                    self.disassociate_address(association_id=address.association_id)
            for interface in interfaces:
                self.enis.pop(interface, None)

        CLOCK.after(CLOCK.transition_seconds, deleted)
        return gateway

    NatGatewayBackend.describe_nat_gateways = describe_nat_gateways
    NatGatewayBackend.create_nat_gateway = create_nat_gateway
    NatGatewayBackend.delete_nat_gateway = delete_nat_gateway
