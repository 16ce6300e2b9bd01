"""Runs the very scripts that resolve a worker's AWS secrets: against a metadata service and an endpoint of
our own, whose requests the vendor's own signer judges, and against moto, which answers as AWS does.

The machine is a directory, as in `test`; nothing here needs root or a network.
"""

import base64
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
from moto.server import ThreadedMotoServer

BOOT = pathlib.Path(__file__).resolve().parent
KEY_ID, SECRET_KEY, SESSION = "ASIAEXAMPLE", "a/secret+key", "a-session-token"
TOKEN = "a-metadata-token"
VALUE = "hf_püblic\nof two lines = "


class Handler(http.server.BaseHTTPRequestHandler):
    """The metadata service and both stores on one port; what it answers is the test's."""

    def log_message(self, *_):
        pass

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        assert self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200, TOKEN)

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            return self.answer(401, "")
        self.answer(*self.server.metadata(self.path.removeprefix("/latest/meta-data/")))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.headers, body))
        self.answer(*self.server.store(self.headers, json.loads(body)))


class Place(http.server.ThreadingHTTPServer):
    """Answers of the store in turn; the last one stays."""

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked = []
        self.profile_after = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def metadata(self, path):
        if path.startswith("iam/") and self.profile_after:
            self.profile_after -= 1
            return 404, ""
        credentials = {"Code": "Success", "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET_KEY, "Token": SESSION}
        return {
            "placement/region": (200, "us-east-2"),
            "services/domain": (200, "amazonaws.com"),
            "iam/security-credentials/": (200, "inference"),
            "iam/security-credentials/inference": (200, json.dumps(credentials)),
        }.get(path, (404, ""))

    def store(self, _headers, _wanted):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        return status, content if isinstance(content, str) else json.dumps(content)


def refusal(status, code, message="refused"):
    return status, {"__type": f"com.amazonaws#{code}", "message": message}


class Secrets(unittest.TestCase):
    def machine(self, references):
        """The root of a machine with these references."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (root / "etc/disagg").mkdir(parents=True)
        (root / "opt").mkdir()
        shutil.copytree(BOOT / "scripts", root / "opt/disagg")
        lines = "".join(f"{name}={reference}\n" for name, reference in references.items())
        (root / "etc/disagg/secrets").write_text(lines)
        return root

    @staticmethod
    def environment(root, place, seconds=30, endpoint=None):
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C",
            "DISAGG_ROOT": str(root),
            "DISAGG_IP": "127.0.0.1",
            "DISAGG_ROLE": "decode",
            "DISAGG_SECRET_SECONDS": str(seconds),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": place.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint or place.url,
            "AWS_ENDPOINT_URL_SSM": endpoint or place.url,
            "AWS_ENDPOINT_URL_ECR": place.url,
            "AWS_ENDPOINT_URL_ECR_PUBLIC": place.url,
        }

    def resolve(self, place, references, seconds=30, script="resolve-secrets", endpoint=None):
        """Values by name, and what was printed. None when the machine has none."""
        root = self.machine(references)
        environment = self.environment(root, place, seconds, endpoint)
        command = [root / "opt/disagg" / script]
        if script == "phase":
            # As the supervisor does it: three times.
            for _ in range(3):
                ended = subprocess.run([*command, "secrets"], env=environment, capture_output=True, text=True)
            reports = [report.read_text() for report in (root / "run/disagg/failures").iterdir()]
            return None, "".join(reports)
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        printed = ended.stdout + ended.stderr
        for secret in (VALUE, VALUE.split("\n")[0], SECRET_KEY, SESSION):
            self.assertNotIn(secret, printed)
        file = root / "run/disagg/secrets"
        self.assertEqual(file.exists(), ended.returncode == 0, printed)
        if not file.exists():
            left = [path.name for path in (root / "run/disagg").iterdir()]
            self.assertEqual(left, ["secrets.lock"], "nothing half-done is left")
            return None, printed
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        pairs = file.read_bytes().decode().split("\0")
        self.assertEqual(pairs.pop(), "")
        return dict(pair.split("=", 1) for pair in pairs), printed

    def judge_signature(self, headers, body, service, region):
        """Signs what arrived anew, with the vendor's code, and expects the same."""
        names = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        signed = {name: headers[name] for name in names if name not in ("host", "x-amz-date", "x-amz-security-token")}
        request = botocore.awsrequest.AWSRequest("POST", f"http://{headers['Host']}/", headers=signed, data=body)
        credentials = botocore.credentials.Credentials(KEY_ID, SECRET_KEY, SESSION)
        stamp = headers["x-amz-date"]
        signer = botocore.auth.SigV4Auth(credentials, service, region)
        request.context["timestamp"] = stamp
        request.headers["X-Amz-Date"] = stamp
        request.headers["X-Amz-Security-Token"] = SESSION
        plain = signer.string_to_sign(request, signer.canonical_request(request))
        expected = signer.signature(plain, request)
        self.assertEqual(headers["Authorization"].split("Signature=")[1], expected)
        self.assertIn(f"Credential={KEY_ID}/{stamp[:8]}/{region}/{service}/aws4_request", headers["Authorization"])
        for needed in ("host", "x-amz-date", "x-amz-security-token", "x-amz-target"):
            self.assertIn(needed, names)

    def test_what_is_asked_is_signed_as_the_vendor_signs(self):
        for reference, answer, service, region, wanted in [
            ("aws-sm://prod/hf", {"SecretString": VALUE}, "secretsmanager", "us-east-2", {"SecretId": "prod/hf"}),
            (
                "aws-sm://arn:aws:secretsmanager:eu-west-1:1:secret:hf-AbC",
                {"SecretString": VALUE},
                "secretsmanager",
                "eu-west-1",
                {"SecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:hf-AbC"},
            ),
            (
                "aws-ssm:///prod/hf",
                {"Parameter": {"Value": VALUE}},
                "ssm",
                "us-east-2",
                {"Name": "/prod/hf", "WithDecryption": True},
            ),
        ]:
            with self.subTest(reference), Place(answer) as place:
                values, _ = self.resolve(place, {"HF_TOKEN": reference})
                self.assertEqual(values, {"HF_TOKEN": VALUE})
                [(headers, body)] = place.asked
                self.assertEqual(json.loads(body), wanted)
                self.judge_signature(headers, body, service, region)
                place.shutdown()

    def test_values(self):
        whole = json.dumps({"hf": VALUE, "port": 8000})
        for reference, answer, expected in [
            ("aws-sm://b", {"SecretBinary": base64.b64encode(VALUE.encode()).decode()}, VALUE),
            ("aws-sm://j", {"SecretString": whole}, whole),
            ("aws-sm://j#hf", {"SecretString": whole}, VALUE),
            ("aws-sm://j#port", {"SecretString": whole}, "8000"),
            ("aws-sm://empty", {"SecretString": ""}, ""),
        ]:
            with self.subTest(reference), Place(answer) as place:
                values, _ = self.resolve(place, {"A": reference, "B": reference})
                self.assertEqual(values, {"A": expected, "B": expected})
                place.shutdown()

    def test_what_is_final_is_said_at_once(self):
        for reference, answer, said in [
            ("aws-sm://x", refusal(400, "ResourceNotFoundException", "no such secret"), "ResourceNotFoundException: no such secret"),
            ("aws-sm://x", refusal(400, "InvalidRequestException", "deleted"), "secretsmanager in us-east-2 answers InvalidRequestException"),
            ("aws-ssm://x", refusal(400, "ParameterNotFound", ""), "ssm in us-east-2 answers ParameterNotFound"),
            ("aws-sm://x#a", {"SecretString": "no json"}, "no JSON object with the key a"),
            ("aws-sm://x#a", {"SecretBinary": "AAAA"}, "no JSON object with the key a"),
            ("aws-sm://x", {"SecretString": "a\0b"}, "NUL"),
        ]:
            with self.subTest(said), Place(answer) as place:
                values, printed = self.resolve(place, {"HF_TOKEN": reference})
                self.assertIsNone(values)
                self.assertIn(f"aws-secret: {reference}: ", printed)
                self.assertIn(said, printed)
                self.assertIn("HF_TOKEN has no value", printed)
                self.assertEqual(len(place.asked), 1)
                place.shutdown()

    def test_what_passes_is_asked_again(self):
        for answer in [
            refusal(400, "ThrottlingException"),
            # IAM knows a new permission late.
            refusal(400, "AccessDeniedException"),
            '{"SecretString": "cut',
            refusal(400, "ExpiredTokenException"),
            refusal(500, "InternalServiceError"),
            (503, "<html>"),
        ]:
            with self.subTest(answer), Place(answer, answer, {"SecretString": VALUE}) as place:
                values, _ = self.resolve(place, {"HF_TOKEN": "aws-sm://hf"})
                self.assertEqual(values, {"HF_TOKEN": VALUE})
                self.assertEqual(len(place.asked), 3)
                place.shutdown()

    def test_the_instance_profile_may_come_late_and_its_absence_is_said(self):
        with Place({"SecretString": VALUE}) as place:
            place.profile_after = 2
            self.assertEqual(self.resolve(place, {"A": "aws-sm://hf"})[0], {"A": VALUE})
            place.profile_after = 1000
            values, printed = self.resolve(place, {"A": "aws-sm://hf"}, seconds=1)
            self.assertIsNone(values)
            self.assertIn("no instance profile; give its group an `identity`", printed)
            place.shutdown()

    def test_one_of_two_that_fails_leaves_none(self):
        with Place({"SecretString": VALUE}, refusal(400, "ResourceNotFoundException")) as place:
            values, printed = self.resolve(place, {"A": "aws-sm://a", "B": "aws-sm://b"})
            self.assertIsNone(values)
            self.assertIn("B has no value", printed)
            place.shutdown()

    def test_engines_share_one_reading_and_an_outage_takes_none_down(self):
        gone, busy = refusal(400, "ResourceNotFoundException"), refusal(503, "ServiceUnavailable")
        with Place({"SecretString": VALUE}, {"SecretString": "rotated"}, busy) as place:
            root = self.machine({"A": "aws-sm://a"})
            environment = self.environment(root, place)
            secrets = root / "run/disagg/secrets"

            def run(**more):
                command = [root / "opt/disagg/resolve-secrets"]
                return subprocess.Popen(command, env={**environment, **more}, stdout=-1, stderr=-1, text=True)

            def end(started):
                printed = "".join(started.communicate())
                return started.returncode, printed

            def later():
                os.utime(secrets, times=(time.time() - 100,) * 2)

            self.assertEqual({end(started)[0] for started in [run() for _ in range(8)]}, {0})
            self.assertEqual(len(place.asked), 1)
            later()
            self.assertEqual(end(run())[0], 0)
            self.assertEqual(secrets.read_text(), "A=rotated\0")
            later()
            code, printed = end(run(DISAGG_SECRET_SECONDS="1"))
            self.assertEqual((code, secrets.read_text()), (0, "A=rotated\0"))
            self.assertIn("as this boot has read them before", printed)
            # The others wait no second time.
            asked = len(place.asked)
            self.assertEqual({end(started)[0] for started in [run() for _ in range(3)]}, {0})
            self.assertEqual(len(place.asked), asked)
            # One that is gone, or no longer allowed, is not gone on with.
            later()
            place.answers[:] = [gone]
            self.assertEqual(end(run())[0], 1)
            # Another boot goes on with nothing that it has not read itself.
            (root / "run/disagg/secrets.boot").write_text("an earlier one")
            self.assertEqual(end(run())[0], 1)
            place.shutdown()

    def test_the_third_failure_is_on_the_console(self):
        with Place(refusal(400, "AccessDeniedException", "not authorized")) as place:
            _, report = self.resolve(place, {"A": "aws-sm://a"}, seconds=1, script="phase")
            self.assertRegex(report, r"status=failed phase=secrets attempts=3 code=1")
            self.assertIn("disagg-log aws-secret: aws-sm://a: secretsmanager in us-east-2 answers AccessDeniedException", report)
            place.shutdown()

    def pull(self, place, image, seconds=1):
        """What `install-runtime` asks of docker for an image, a list of words for each call, with what docker read
        from its standard input; and what was printed."""
        root = self.machine({})
        programs = root / "programs"
        programs.mkdir()
        docker = programs / "docker"
        docker.write_text(
            "#!/bin/bash\n[[ $1 != image ]] || exit 1\n"
            f'[[ $1 != login ]] || {{ cat > "{root}/password"; [[ -s "{root}/password" ]] || exit 1; printf secret > "$DOCKER_CONFIG/config.json"; }}\n'
            f'printf "%s\\n" "$*" >> "{root}/calls"\nenv > "{root}/environment-of-$1"\n'
        )
        docker.chmod(0o755)
        environment = self.environment(root, place, seconds) | {"DISAGG_RUNTIME": "container", "DISAGG_IMAGE": image}
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        ended = subprocess.run([root / "opt/disagg/install-runtime"], env=environment, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertFalse((root / "run/disagg/docker").exists(), "nothing of the login is left")
        calls = (root / "calls").read_text()
        for words in (calls, ended.stdout, ended.stderr, *(path.read_text() for path in root.glob("environment-of-*"))):
            self.assertNotIn("the-password", words)
        password = root / "password"
        return calls.splitlines(), password.read_text() if password.exists() else None, ended.stderr

    def test_a_registry_of_aws_lets_the_machine_itself_in(self):
        token = base64.b64encode(b"AWS:the-password").decode()
        private, public = {"authorizationData": [{"authorizationToken": token}]}, {"authorizationData": {"authorizationToken": token}}
        for registry, answer, service, region, target in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", private, "ecr", "eu-west-1", "AmazonEC2ContainerRegistry_V20150921"),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", private, "ecr", "us-east-1", "AmazonEC2ContainerRegistry_V20150921"),
            ("123456789012.dkr-ecr.us-west-2.on.aws", private, "ecr", "us-west-2", "AmazonEC2ContainerRegistry_V20150921"),
            ("public.ecr.aws", public, "ecr-public", "us-east-1", "SpencerFrontendService"),
        ]:
            with self.subTest(registry), Place(answer) as place:
                image = f"{registry}/engines/vllm:1.6.1"
                calls, password, _ = self.pull(place, image)
                self.assertEqual(calls, ["info", f"login --username AWS --password-stdin {registry}", f"pull --quiet {image}"])
                self.assertEqual(password, "the-password")
                [(headers, body)] = place.asked
                self.assertEqual((headers["X-Amz-Target"], body), (f"{target}.GetAuthorizationToken", b"{}"))
                self.judge_signature(headers, body, service, region)
                place.shutdown()

    def test_a_registry_that_gives_no_password_is_tried_without(self):
        registry = "123456789012.dkr.ecr.us-east-2.amazonaws.com"
        with Place(refusal(400, "AccessDeniedException", "not authorized to perform ecr:GetAuthorizationToken")) as place:
            calls, _, printed = self.pull(place, f"{registry}/vllm:1")
            self.assertEqual(calls, ["info", f"pull --quiet {registry}/vllm:1"])
            self.assertIn(f"no password for {registry}", printed)
            self.assertIn("ecr in us-east-2 answers AccessDeniedException: not authorized to perform", printed)
            place.shutdown()

    def test_other_registries_are_asked_for_no_password(self):
        with Place({}) as place:
            for image in ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1", "vllm/vllm-openai", "ecr.example/vllm"):
                self.assertEqual(self.pull(place, image)[0], ["info", f"pull --quiet {image}"])
            self.assertEqual(place.asked, [])
            place.shutdown()

    def test_moto_answers_the_same_script(self):
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        self.addCleanup(server.stop)
        url = "http://{}:{}".format(*server.get_host_and_port())
        session = botocore.session.Session()
        session.set_credentials(KEY_ID, SECRET_KEY)

        def client(name):
            return session.create_client(name, region_name="us-east-2", endpoint_url=url)

        made = client("secretsmanager").create_secret(Name="prod/hf", SecretString=VALUE)
        client("secretsmanager").create_secret(Name="binary", SecretBinary=VALUE.encode())
        client("ssm").put_parameter(Name="/prod/hf", Value=VALUE, Type="SecureString")
        with Place({}) as place:
            references = {
                "A": "aws-sm://prod/hf",
                "B": f"aws-sm://{made['ARN']}",
                "C": "aws-sm://binary",
                "D": "aws-ssm:///prod/hf",
            }
            values, _ = self.resolve(place, references, endpoint=url)
            self.assertEqual(values, dict.fromkeys("ABCD", VALUE))
            for reference, code in [
                ("aws-sm://missing", "ResourceNotFoundException"),
                ("aws-ssm:///missing", "ParameterNotFound"),
            ]:
                values, printed = self.resolve(place, {"A": reference}, endpoint=url)
                self.assertIsNone(values)
                self.assertIn(code, printed)
            place.shutdown()


if __name__ == "__main__":
    unittest.main()
