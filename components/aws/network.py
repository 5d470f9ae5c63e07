"""A region's AWS network: where nodes run in private, and how they reach out."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.cidr import subnet_in, subnet_layout, usable_zones

# EKS places no control plane in these (docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
ZONES_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
HTTPS_PORT = 443


class AwsNetworkArgs(TypedDict):
    region: str
    cidr: str
    zones: Sequence[str]
    tags: Mapping[str, str]


class AwsNetwork(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each of three zones, and a security group for the control plane.

    Without zones given it takes the first three that the region offers and EKS accepts.

    Each zone has its own NAT gateway, so that the loss of a zone costs the others nothing; S3 in the region is reached without one. Nodes are not given a
    security group here: EKS makes the one that nodes and control plane share.
    """

    vpc_id: pulumi.Output[str]
    zones: pulumi.Output[list[str]]
    """Of the subnets, in their order."""
    private_subnet_ids: Sequence[pulumi.Output[str]]
    public_subnet_ids: Sequence[pulumi.Output[str]]
    control_plane_security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:network:AwsNetwork", name, {}, opts)
        region, tags = args["region"], args["tags"]
        layout = subnet_layout(args["cidr"])
        child = pulumi.ResourceOptions(parent=self)

        def named(suffix: str) -> Mapping[str, str]:
            return {**tags, "Name": f"{name}-{suffix}"}

        zones = (
            pulumi.Output.from_input(usable_zones(args["zones"], region))
            if args["zones"]
            else aws.get_availability_zones_output(
                state="available",
                region=region,
                filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
                exclude_zone_ids=list(ZONES_WITHOUT_EKS),
                opts=pulumi.InvokeOutputOptions(parent=self),
            ).names.apply(lambda names: usable_zones(names, region))
        )
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            region=region,
            cidr_block=args["cidr"],
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=named("vpc"),
            opts=child,
        )
        internet = aws.ec2.InternetGateway(
            f"{name}-internet", region=region, vpc_id=vpc.id, tags=named("internet"), opts=child
        )
        public_routes = aws.ec2.RouteTable(
            f"{name}-public", region=region, vpc_id=vpc.id, tags=named("public"), opts=child
        )
        to_internet = aws.ec2.Route(
            f"{name}-public-default",
            region=region,
            route_table_id=public_routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=internet.id,
            opts=child,
        )
        private: list[pulumi.Output[str]] = []
        private_tables: list[pulumi.Output[str]] = []
        public: list[pulumi.Output[str]] = []
        for index, (private_cidr, public_cidr) in enumerate(zip(layout.private, layout.public, strict=True)):
            zone, number = zones[index], index + 1
            public_subnet = aws.ec2.Subnet(
                f"{name}-public-{number}",
                region=region,
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=public_cidr,
                # Only NAT gateways and load balancers live here; both bring their own addresses.
                map_public_ip_on_launch=False,
                tags={**named(f"public-{number}"), "kubernetes.io/role/elb": "1"},
                opts=child,
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-public-{number}",
                region=region,
                subnet_id=public_subnet.id,
                route_table_id=public_routes.id,
                opts=child,
            )
            address = aws.ec2.Eip(
                f"{name}-nat-{number}", region=region, domain="vpc", tags=named(f"nat-{number}"), opts=child
            )
            nat = aws.ec2.NatGateway(
                f"{name}-nat-{number}",
                region=region,
                subnet_id=public_subnet.id,
                allocation_id=address.allocation_id,
                tags=named(f"nat-{number}"),
                # A NAT gateway whose subnet has no way out fails to become available.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[to_internet]),
            )
            private_subnet = aws.ec2.Subnet(
                f"{name}-private-{number}",
                region=region,
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=private_cidr,
                tags={**named(f"private-{number}"), "kubernetes.io/role/internal-elb": "1"},
                opts=child,
            )
            private_routes = aws.ec2.RouteTable(
                f"{name}-private-{number}",
                region=region,
                vpc_id=vpc.id,
                tags=named(f"private-{number}"),
                opts=child,
            )
            aws.ec2.Route(
                f"{name}-private-{number}-default",
                region=region,
                route_table_id=private_routes.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=nat.id,
                opts=child,
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-private-{number}",
                region=region,
                subnet_id=private_subnet.id,
                route_table_id=private_routes.id,
                opts=child,
            )
            private.append(private_subnet.id)
            private_tables.append(private_routes.id)
            public.append(public_subnet.id)

        # Weights and the layers of images are in S3. This way there costs nothing, where a NAT gateway bills each GB
        # (docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html).
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            region=region,
            vpc_id=vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{region}.s3",
            route_table_ids=private_tables,
            tags=named("s3"),
            opts=child,
        )
        control_plane = aws.ec2.SecurityGroup(
            f"{name}-control-plane",
            region=region,
            vpc_id=vpc.id,
            description="Kubernetes control plane, reached from inside the VPC",
            tags=named("control-plane"),
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-control-plane-https",
            region=region,
            security_group_id=control_plane.id,
            description="Kubernetes API from inside the VPC",
            cidr_ipv4=args["cidr"],
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            tags=tags,
            opts=child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-control-plane-nodes",
            region=region,
            security_group_id=control_plane.id,
            description="Kubelets and admission webhooks on the nodes",
            cidr_ipv4=args["cidr"],
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=65535,
            tags=tags,
            opts=child,
        )
        self.vpc_id = vpc.id
        self.zones = zones
        self.private_subnet_ids = private
        self.public_subnet_ids = public
        self.control_plane_security_group_id = control_plane.id
        self.register_outputs({"vpc_id": self.vpc_id, "private_subnet_ids": private, "public_subnet_ids": public})

    def private_subnet_in(self, zone: str) -> pulumi.Output[str]:
        """The private subnet of one zone."""
        return pulumi.Output.all(zones=self.zones, subnets=self.private_subnet_ids).apply(
            lambda each: subnet_in(zone, each["zones"], each["subnets"])
        )
