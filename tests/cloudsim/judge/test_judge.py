"""The judge finds faults, and finds none where there is none."""

import unittest

import judge

VERSION = "Version=2016-11-15"
EMPTY = '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet/><requestId>r</requestId></DescribeInstancesResponse>'


def describe(more="", answer=EMPTY, status=200):
    return {"request": f"Action=DescribeInstances&{VERSION}{more}", "status": status, "answer": answer}


def answered(inside):
    return describe(answer=EMPTY.replace("<reservationSet/>", inside))


class Judge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = judge.service_model()

    def check(self, call, *expected):
        findings = judge.judge(self.model, call)
        self.assertEqual(len(findings), len(expected), findings)
        for finding, part in zip(findings, expected):
            self.assertIn(part, finding)

    def test_right_calls(self):
        self.check(describe())
        self.check(describe("&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b&MaxResults=1000"))
        error = "<Response><Errors><Error><Code>C</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>"
        self.check(describe(answer=error, status=400))
        instance = "<item><instanceId>i-1</instanceId><launchTime>2026-11-23T00:00:00.000Z</launchTime></item>"
        reservation = f"<item><reservationId>r-1</reservationId><instancesSet>{instance}</instancesSet></item>"
        self.check(answered(f"<reservationSet>{reservation}</reservationSet>"))

    def test_wrong_requests(self):
        for more, finding in [
            ("&Colour=red", "Colour: is not known"),
            ("&Filter.1.Nam=x", "Filter.1.Nam: is not known"),
            ("&Filter.2.Name=x", "not numbered from 1"),
            ("&MaxResults=many", "`many` is no integer"),
            ("&DryRun=yes", "`yes` is no boolean"),
            ("&InstanceId=i-1", "`i-1` is no list"),
        ]:
            with self.subTest(more):
                self.check(describe(more), finding)
        self.check({"request": f"Action=RunAway&{VERSION}", "status": 200, "answer": ""}, "no such operation")
        run = f"Action=RunInstances&{VERSION}&MinCount=1"
        answer = "<RunInstancesResponse><requestId>r</requestId></RunInstancesResponse>"
        self.check({"request": run, "status": 200, "answer": answer}, "lacks MaxCount")
        run += "&MaxCount=1&InstanceMarketOptions.MarketType=black"
        self.check({"request": run, "status": 200, "answer": answer}, "`black` is none of")

    def test_wrong_answers(self):
        for inside, finding in [
            ("<instances/>", "instances: is not known"),
            ("<reservationSet><member/></reservationSet>", "has a member and not a item"),
            (
                "<reservationSet><item><instancesSet><item><amiLaunchIndex>first</amiLaunchIndex></item></instancesSet></item></reservationSet>",
                "`first` is no integer",
            ),
            (
                "<reservationSet><item><instancesSet><item><launchTime>soon</launchTime></item></instancesSet></item></reservationSet>",
                "`soon` is no timestamp",
            ),
            (
                "<reservationSet><item><instancesSet><item><instanceState><name>asleep</name></instanceState></item></instancesSet></item></reservationSet>",
                "`asleep` is none of",
            ),
            ("<reservationSet/><reservationSet/>", "is there twice"),
        ]:
            with self.subTest(inside):
                self.check(answered(inside), finding)
        self.check(describe(answer="<oops"), "is no XML")
        self.check(describe(answer="<Response/>"), "begins with Response")
        self.check(describe(answer=EMPTY.replace("<requestId>r</requestId>", "")), "has no requestId")
        error = "<Response><Errors><Error><Code>C</Code></Error></Errors></Response>"
        self.check(describe(answer=error, status=400), "has no Message", "has no RequestID")


if __name__ == "__main__":
    unittest.main()
