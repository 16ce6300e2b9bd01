"""clients PROGRAM: the vendor's own clients drive the simulated EC2, which PROGRAM starts, and moto is asked
the same, call by call.

boto3 has to understand every answer. What it makes of it has to be what it makes of moto's, except where
`DIFFERENCES` says why not, in the vendor's words. The AWS command line has to be content as well."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers
from moto.server import ThreadedMotoServer

ZONE = "us-east-2a"
USER_DATA = "#cloud-config\n{}\n"

def refused(code):
    return {"error": code}


def answered(value=None):
    return {"answer": value}


#: Where ours is right and moto is not, by step: what ours answers, and the vendor's text that decides.
DIFFERENCES = {
    "placement group": (
        answered(), "API reference, CreatePlacementGroup: names are unique in an account and region; moto has none"),
    "placement group twice": (
        refused("InvalidPlacementGroup.Duplicate"), "API error codes: InvalidPlacementGroup.Duplicate"),
    "group in use": (
        refused("DependencyViolation"), "API error codes: DependencyViolation: the group is on an interface"),
    "placement group in use": (
        refused("InvalidPlacementGroup.InUse"),
        "API error codes: InvalidPlacementGroup.InUse: one or more instances are in it"),
    "placement group gone": (
        refused("InvalidPlacementGroup.Unknown"), "API error codes: InvalidPlacementGroup.Unknown"),
    "same token": (
        answered(True), "User guide, Ensuring idempotency: a retry with the same token and parameters launches nothing more"),
    "same token, other parameters": (
        refused("IdempotentParameterMismatch"), "API error codes: IdempotentParameterMismatch"),
    "too much user data": (
        refused("InvalidUserData.Malformed"),
        "User guide, instance user data: limited to 16 KB, in raw form, before it is base64-encoded"),
    "address in use": (refused("InvalidIPAddress.InUse"), "API error codes: InvalidIPAddress.InUse"),
    "interface in use": (
        refused("InvalidNetworkInterface.InUse"), "API error codes: InvalidNetworkInterface.InUse; moto attaches it again"),
    "interface of a machine is deleted": (
        refused("InvalidParameterValue"), "API error codes: an interface that is in use cannot be deleted"),
    "launch into no placement group": (
        refused("InvalidPlacementGroup.Unknown"), "API error codes: InvalidPlacementGroup.Unknown; moto drops the name"),
    "interface after its machine": (
        answered(["available"]),
        "API reference, InstanceNetworkInterfaceSpecification: DeleteOnTermination=false leaves it, and it is available; "
        "moto has it no longer"),
    "interfaces on two cards": (
        answered(3), "User guide, EFA: an instance has interfaces on each card; moto knows device indexes only"),
    "tags for nobody": (
        refused("InvalidInstanceID.NotFound"), "API error codes: InvalidInstanceID.NotFound; moto tags what is not there"),
    "address for another worker": (
        refused("Resource.AlreadyAssociated"),
        "API reference, AssociateAddress: AllowReassociation=false fails for an address that is associated; "
        "moto knows the interface no longer"),
    "launch with an unknown key pair": (
        refused("InvalidKeyPair.NotFound"), "API error codes: InvalidKeyPair.NotFound; moto does not look"),
    "rule without a description": (
        answered([("203.0.113.0/24", None)]),
        "API reference, UpdateSecurityGroupRuleDescriptionsIngress: omitting the description removes it; moto leaves it"),
    "describe no rule": (
        refused("InvalidPermission.NotFound"),
        "API error codes: InvalidPermission.NotFound; moto passes over what is not there"),
    "address moves by itself": (
        answered(), "API reference, AssociateAddress: reassociation is automatic; moto wants to be told"),
    "address that it replaces": (
        answered([False]),
        "API reference, AssociateAddress: an existing address is disassociated, but remains allocated; moto leaves it"),
    "machines by token": (
        answered(True), "API reference, DescribeInstances: filter client-token; moto does not have it"),
    "two EFAs on one card": (
        refused("InvalidParameterCombination"), "User guide, EFA: one for each network card; moto does not look"),
    "address after its worker": (
        answered([(True, False)]),
        "User guide, Elastic IP addresses: it is disassociated when the instance is terminated; moto leaves it"),
}


NO_ANSWER = "no answer of EC2's"


class Steps:
    """One region, asked step by step; what each made of it."""

    def __init__(self, client):
        self.client = client
        self.results = {}

    def __call__(self, name, call, shown=lambda answer: None):
        """Calls, and keeps what is to be the same everywhere: the code of an error or what `shown` takes."""
        try:
            answer = call()
        except botocore.exceptions.ClientError as error:
            self.results[name] = {"error": error.response["Error"]["Code"]}
            return None
        except botocore.parsers.ResponseParserError:
            # moto's way to say that it has no such operation.
            self.results[name] = {"error": NO_ANSWER}
            return None
        self.results[name] = {"answer": shown(answer)}
        return answer


def tagged(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}]


def tags_of(found):
    return sorted((tag["Key"], tag["Value"]) for tag in found.get("Tags") or found.get("TagSet") or [])


def instances(answer):
    return [one for reservation in answer["Reservations"] for one in reservation["Instances"]]


def ask(client):
    """Everything that the provider uses, as far as both may know it."""
    step = Steps(client)
    where = [{"Name": "default-for-az", "Values": ["true"]}, {"Name": "availability-zone", "Values": [ZONE]}]
    found = step("default subnet", lambda: client.describe_subnets(Filters=where),
                 lambda answer: [(one["AvailabilityZone"], one["DefaultForAz"]) for one in answer["Subnets"]])
    subnet, vpc = found["Subnets"][0]["SubnetId"], found["Subnets"][0]["VpcId"]
    step("unknown subnet", lambda: client.describe_subnets(SubnetIds=["subnet-0123456789abcdef0"]))
    step("zones", lambda: client.describe_availability_zones(),
         lambda answer: [one["ZoneName"] for one in answer["AvailabilityZones"]])
    step("instance types", lambda: client.describe_instance_types(InstanceTypes=["m7i.xlarge", "p5.48xlarge"]), types)
    family = [{"Name": "instance-type", "Values": ["p5en.*"]}]
    step("types of a family", lambda: client.describe_instance_types(Filters=family), types)
    step("offerings", lambda: client.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m7i.xlarge"]},
                                                   {"Name": "location", "Values": [ZONE]}]),
         lambda answer: [(one["InstanceType"], one["Location"]) for one in answer["InstanceTypeOfferings"]])

    create_group = lambda: client.create_security_group(
        GroupName="disagg-pd", Description="of a fleet", VpcId=vpc,
        TagSpecifications=tagged("security-group", fleet="pd"))
    group = step("security group", create_group)["GroupId"]
    step("security group twice", create_group)
    own = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    web = [{"IpProtocol": "tcp", "FromPort": 8000, "ToPort": 8000, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}]
    step("ingress", lambda: client.authorize_security_group_ingress(GroupId=group, IpPermissions=own + web))
    step("ingress twice", lambda: client.authorize_security_group_ingress(GroupId=group, IpPermissions=web))
    step("egress", lambda: client.authorize_security_group_egress(GroupId=group, IpPermissions=own))
    by_name = [{"Name": "group-name", "Values": ["disagg-pd"]}]
    step("group by name", lambda: client.describe_security_groups(Filters=by_name),
         lambda answer: [rules(one, group) for one in answer["SecurityGroups"]])
    described = [{**web[0], "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "of users"}]}]
    describe_rules = lambda permissions: client.update_security_group_rule_descriptions_ingress(
        GroupId=group, IpPermissions=permissions)
    step("describe a rule", lambda: describe_rules(described))
    shown_descriptions = lambda answer: descriptions(answer["SecurityGroups"][0])
    step("rule with a description", lambda: client.describe_security_groups(GroupIds=[group]), shown_descriptions)
    step("describe a rule no more", lambda: describe_rules(web))
    step("rule without a description", lambda: client.describe_security_groups(GroupIds=[group]), shown_descriptions)
    step("describe no rule", lambda: describe_rules([{**described[0], "ToPort": 8001}]))
    step("revoke", lambda: client.revoke_security_group_ingress(GroupId=group, IpPermissions=web))
    step("revoke twice", lambda: client.revoke_security_group_ingress(GroupId=group, IpPermissions=web))
    step("unknown group", lambda: client.describe_security_groups(GroupIds=["sg-0123456789abcdef0"]))
    place = lambda: client.create_placement_group(GroupName="pd", Strategy="cluster")
    step("placement group", place)
    step("placement group twice", place)

    nic = step("interface", lambda: client.create_network_interface(
        SubnetId=subnet, Groups=[group], TagSpecifications=tagged("network-interface", fleet="pd")),
        lambda answer: tags_of(answer["NetworkInterface"]))["NetworkInterface"]["NetworkInterfaceId"]
    by_tag = [{"Name": "tag:fleet", "Values": ["pd"]}]
    step("interface by tag", lambda: client.describe_network_interfaces(Filters=by_tag),
         lambda answer: [(one["NetworkInterfaceId"] == nic, one["Status"]) for one in answer["NetworkInterfaces"]])
    step("unknown interface", lambda: client.delete_network_interface(NetworkInterfaceId="eni-0123456789abcdef0"))
    address = step("address", lambda: client.allocate_address(Domain="vpc"))["AllocationId"]
    association = step("association", lambda: client.associate_address(
        AllocationId=address, NetworkInterfaceId=nic))["AssociationId"]
    on_interface = [{"Name": "network-interface-id", "Values": [nic]}]
    step("address by interface", lambda: client.describe_addresses(Filters=on_interface),
         lambda answer: [one["AllocationId"] == address for one in answer["Addresses"]])
    moved = client.allocate_address(Domain="vpc")["AllocationId"]
    another = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    step("address of another interface", lambda: client.associate_address(
        AllocationId=moved, NetworkInterfaceId=another, AllowReassociation=False))
    step("address moves by itself", lambda: client.associate_address(AllocationId=moved, NetworkInterfaceId=nic))
    step("address that it replaces", lambda: client.describe_addresses(Filters=[
        {"Name": "allocation-id", "Values": [address]}]),
         lambda answer: ["AssociationId" in one for one in answer["Addresses"]])
    association = step("address comes back", lambda: client.associate_address(
        AllocationId=address, NetworkInterfaceId=nic))["AssociationId"]
    other = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    held = client.allocate_address(Domain="vpc")["AllocationId"]
    client.associate_address(AllocationId=held, NetworkInterfaceId=other)
    step("address in use", lambda: client.release_address(AllocationId=held))

    image = client.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]["ImageId"]
    launch = {
        "ImageId": image, "InstanceType": "m7i.xlarge", "MinCount": 1, "MaxCount": 1, "UserData": USER_DATA,
        "NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": nic}],
        "MetadataOptions": {"HttpTokens": "required"}, "TagSpecifications": tagged("instance", fleet="pd", role="router"),
    }
    step("dry run", lambda: client.run_instances(**launch, DryRun=True))
    router = step("router", lambda: client.run_instances(**launch), launched)["Instances"][0]["InstanceId"]
    step("interface in use", lambda: client.run_instances(
        **{**launch, "TagSpecifications": tagged("instance", role="second")}))
    step("interface of a machine is deleted", lambda: client.delete_network_interface(NetworkInterfaceId=nic))
    workers = {
        "ImageId": image, "InstanceType": "m7i.xlarge", "MinCount": 2, "MaxCount": 2, "ClientToken": "token-1",
        "SubnetId": subnet, "SecurityGroupIds": [group], "TagSpecifications": tagged("instance", fleet="pd", role="worker"),
        "Placement": {"GroupName": "pd"},
    }
    two = step("workers", lambda: client.run_instances(**workers), launched)
    ids = sorted(one["InstanceId"] for one in two["Instances"])
    step("same token", lambda: client.run_instances(**workers),
         lambda answer: sorted(one["InstanceId"] for one in answer["Instances"]) == ids)
    step("same token, other parameters", lambda: client.run_instances(**{**workers, "InstanceType": "m7i.large"}))
    step("too much user data", lambda: client.run_instances(**{**workers, "ClientToken": "2", "UserData": "x" * 16385}))
    step("launch into no placement group", lambda: client.run_instances(
        **{**workers, "ClientToken": "3", "Placement": {"GroupName": "missing"}}))
    by_token = [{"Name": "client-token", "Values": ["token-1"]}]
    step("machines by token", lambda: client.describe_instances(Filters=by_token),
         lambda answer: sorted(one["InstanceId"] for one in instances(answer)) == ids)
    cards = [{"DeviceIndex": 0, "NetworkCardIndex": 0, "SubnetId": subnet, "InterfaceType": "interface"},
             {"DeviceIndex": 1, "NetworkCardIndex": 1, "SubnetId": subnet, "InterfaceType": "efa-only"},
             {"DeviceIndex": 1, "NetworkCardIndex": 2, "SubnetId": subnet, "InterfaceType": "efa-only"}]
    step("interfaces on two cards", lambda: client.run_instances(
        ImageId=image, InstanceType="p5.48xlarge", MinCount=1, MaxCount=1, NetworkInterfaces=cards),
         lambda answer: len(answer["Instances"][0]["NetworkInterfaces"]))
    step("two EFAs on one card", lambda: client.run_instances(
        ImageId=image, InstanceType="p5.48xlarge", MinCount=1, MaxCount=1,
        NetworkInterfaces=[*cards[:2], {**cards[1], "DeviceIndex": 0}]))

    of_role = lambda role: [{"Name": "tag:role", "Values": [role]}]
    step("machines by tag", lambda: client.describe_instances(Filters=of_role("router")),
         lambda answer: [(one["InstanceId"] == router, one["State"]["Name"], tags_of(one)) for one in instances(answer)])
    step("unknown machine", lambda: client.describe_instances(InstanceIds=["i-0123456789abcdef0"]))
    step("user data", lambda: client.describe_instance_attribute(InstanceId=router, Attribute="userData"),
         lambda answer: answer["UserData"]["Value"])
    step("more tags", lambda: client.create_tags(Resources=[router], Tags=[{"Key": "phase", "Value": "ready"}]))
    step("tags for nobody", lambda: client.create_tags(
        Resources=["i-0123456789abcdef0"], Tags=[{"Key": "phase", "Value": "ready"}]))
    step("machine with more tags", lambda: client.describe_instances(InstanceIds=[router]),
         lambda answer: [tags_of(one) for one in instances(answer)])
    step("metadata options", lambda: client.modify_instance_metadata_options(InstanceId=router, HttpTokens="optional"),
         lambda answer: answer["InstanceMetadataOptions"]["HttpTokens"])
    step("console", lambda: client.get_console_output(InstanceId=router), lambda answer: type(answer["Output"]).__name__)
    elastic = client.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", of="worker"))["AllocationId"]
    first = lambda answer: instances(answer)[0]["NetworkInterfaces"][0]
    own = first(client.describe_instances(InstanceIds=ids[:1]))["NetworkInterfaceId"]
    step("address of a worker", lambda: client.associate_address(
        AllocationId=elastic, NetworkInterfaceId=own, AllowReassociation=False))
    step("whose address it is", lambda: client.describe_instances(InstanceIds=ids[:1]),
         lambda answer: first(answer).get("Association", {}).get("IpOwnerId", "").isdigit())
    of_worker = [{"Name": "tag:of", "Values": ["worker"]}]
    step("address by tag", lambda: client.describe_addresses(Filters=of_worker),
         lambda answer: [(one["AllocationId"] == elastic, "AssociationId" in one) for one in answer["Addresses"]])
    step("address for another worker", lambda: client.associate_address(
        AllocationId=elastic, NetworkInterfaceId=nic, AllowReassociation=False))
    step("unknown key pair", lambda: client.describe_key_pairs(KeyNames=["nobody"]))
    step("launch with an unknown key pair", lambda: client.run_instances(
        **{**workers, "ClientToken": "4", "KeyName": "nobody"}))
    step("reboot", lambda: client.reboot_instances(InstanceIds=[router]))
    step("stop", lambda: client.stop_instances(InstanceIds=[router]), lambda answer: len(answer["StoppingInstances"]))
    reasons = lambda answer: [one.get("StateReason") for one in instances(answer)]
    step("why it is off", lambda: client.describe_instances(InstanceIds=[router]), reasons)
    step("start", lambda: client.start_instances(InstanceIds=[router]), lambda answer: len(answer["StartingInstances"]))
    step("unknown to terminate", lambda: client.terminate_instances(InstanceIds=["i-0123456789abcdef0"]))
    step("group in use", lambda: client.delete_security_group(GroupId=group))
    step("placement group in use", lambda: client.delete_placement_group(GroupName="pd"))
    terminate = lambda: client.terminate_instances(InstanceIds=[router, *ids])
    step("terminate", terminate, lambda answer: len(answer["TerminatingInstances"]))
    step("terminate twice", terminate)
    step("why they have ended", lambda: client.describe_instances(InstanceIds=ids), reasons)
    step("interface after its machine", lambda: client.describe_network_interfaces(NetworkInterfaceIds=[nic]),
         lambda answer: [one["Status"] for one in answer["NetworkInterfaces"]])
    step("address after its worker", lambda: client.describe_addresses(Filters=of_worker),
         lambda answer: [(one["AllocationId"] == elastic, "AssociationId" in one) for one in answer["Addresses"]])
    step("disassociate", lambda: client.disassociate_address(AssociationId=association))
    step("release", lambda: client.release_address(AllocationId=address))
    step("released twice", lambda: client.release_address(AllocationId=address))
    step("placement group gone", lambda: client.delete_placement_group(GroupName="missing"))
    return step.results


def types(answer):
    shown = {}
    for one in answer["InstanceTypes"]:
        network = one["NetworkInfo"]
        shown[one["InstanceType"]] = {
            "cpu": one["VCpuInfo"]["DefaultVCpus"],
            "cards": network["MaximumNetworkCards"],
            "interfaces": network["MaximumNetworkInterfaces"],
            "of each card": [(card["NetworkCardIndex"], card["MaximumNetworkInterfaces"])
                             for card in network["NetworkCards"]],
            "efa": network.get("EfaInfo", {}).get("MaximumEfaInterfaces"),
            "gpus": [(gpu["Count"], gpu["Name"]) for gpu in one.get("GpuInfo", {}).get("Gpus", [])],
            "cluster": "cluster" in one["PlacementGroupInfo"]["SupportedStrategies"],
            "architecture": one["ProcessorInfo"]["SupportedArchitectures"],
        }
    return shown


def rules(group, own):
    def shown(permissions):
        return sorted(
            (one["IpProtocol"], one.get("FromPort"), one.get("ToPort"),
             [block["CidrIp"] for block in one.get("IpRanges", [])],
             [pair["GroupId"] == own for pair in one.get("UserIdGroupPairs", [])])
            for one in permissions
        )
    return {"in": shown(group["IpPermissions"]), "out": shown(group["IpPermissionsEgress"]), "tags": tags_of(group)}


def descriptions(group):
    return sorted((block["CidrIp"], block.get("Description"))
                  for one in group["IpPermissions"] for block in one.get("IpRanges", []))


def launched(answer):
    return [(one["InstanceType"], one["State"]["Name"], tags_of(one)) for one in answer["Instances"]]


class Clients(unittest.TestCase):
    program = None
    maxDiff = None

    def setUp(self):
        settings = self.enterContext(tempfile.NamedTemporaryFile("w", suffix=".json"))
        settings.write("{}")
        settings.flush()
        process = subprocess.Popen([self.program, settings.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.environment = json.loads(process.stdout.readline())
        process.stdout.close()

    def client(self, url):
        return boto3.client("ec2", region_name="us-east-2", endpoint_url=url, aws_access_key_id="x",
                            aws_secret_access_key="x", config=botocore.config.Config(retries={"max_attempts": 0}))

    def test_boto3_makes_of_our_answers_what_it_makes_of_moto_s(self):
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "true"
        # It prints a trace for what it does not have.
        logging.disable(logging.CRITICAL)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        with contextlib.redirect_stdout(None):
            moto.start()
        self.addCleanup(moto.stop)
        ours = ask(self.client(self.environment["AWS_ENDPOINT_URL"]))
        theirs = ask(self.client("http://{}:{}".format(*moto.get_host_and_port())))
        self.assertEqual(list(ours), list(theirs), "both were asked the same")
        self.assertNotIn({"error": NO_ANSWER}, ours.values())
        differ = {step for step in ours if ours[step] != theirs[step]}
        shown = {step: (ours[step], theirs[step]) for step in differ - set(DIFFERENCES)}
        self.assertEqual(shown, {}, "differs from moto without a reason")
        self.assertEqual(set(DIFFERENCES) - differ, set(), "differs no longer")
        for step, (pinned, why) in DIFFERENCES.items():
            self.assertEqual(ours[step], pinned, f"{step}: {why}")
        print(f"{len(ours)} steps, {len(differ)} with a reason to differ")

    def test_the_command_line_is_content(self):
        for command in [
            ["describe-instances"],
            ["describe-instance-types", "--instance-types", "m7i.xlarge"],
            ["create-security-group", "--group-name", "g", "--description", "d"],
            ["describe-security-groups", "--filters", "Name=group-name,Values=g"],
            ["create-placement-group", "--group-name", "p", "--strategy", "cluster"],
            ["describe-subnets"],
            ["describe-images", "--owners", "amazon"],
        ]:
            with self.subTest(command):
                ended = subprocess.run(
                    [sys.executable, "-m", "awscli", "ec2", *command, "--output", "json"],
                    env=os.environ | self.environment | {"AWS_DEFAULT_REGION": "us-east-2"}, capture_output=True, text=True)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                if ended.stdout.strip():
                    json.loads(ended.stdout)


if __name__ == "__main__":
    Clients.program = sys.argv.pop(1)
    unittest.main()
