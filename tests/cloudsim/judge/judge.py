"""judge JOURNAL…: holds recorded calls of EC2's query API against the vendor's own description of it.

Each line of a journal is one call: `{"request": form, "status": number, "answer": XML}`. The
description is botocore's service model. What a request says that the model does not know, what it
does not say although it has to, what an answer has that the model does not know, values of the wrong type
and words that no enumeration has: each is printed once, and then the exit code is 1.

What it deliberately does not judge: whether an answer is true."""

import base64
import binascii
import datetime
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree

import botocore.session


def service_model():
    return botocore.session.get_session().get_service_model("ec2")


def judge(model, call):
    """What is wrong with one call, as sentences `operation: where: what`."""
    form = urllib.parse.parse_qsl(call["request"], keep_blank_values=True)
    form = dict(form)
    name = form.pop("Action", None)
    if name not in model.operation_names:
        return [f"{name}: request: there is no such operation"]
    findings = []
    version = form.pop("Version", None)
    if version != model.api_version:
        findings.append(f"Version: `{version}` is not {model.api_version}")
    operation = model.operation_model(name)
    findings += [f"request: {finding}" for finding in judge_request(operation.input_shape, form)]
    findings += [
        f"answer: {finding}"
        for finding in judge_answer(name, operation.output_shape, call["status"], call["answer"])
    ]
    return [f"{name}: {finding}" for finding in findings]


# Requests: `Filter.1.Value.2=x` is the second value of the first filter.


def judge_request(shape, form):
    tree = {}
    for key, value in form.items():
        node = tree
        *above, last = key.split(".")
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                return [f"{key}: is a value and has members as well"]
        node[last] = value
    if shape is None:
        return [f"{key}: is not known" for key in form]
    return list(structure(shape, tree, ""))


def query_name(name, shape):
    said = shape.serialization.get("queryName")
    if said:
        return said
    wire = shape.serialization.get("name", name)
    return wire[0].upper() + wire[1:]


def structure(shape, node, where):
    if not isinstance(node, dict):
        yield f"{where}: `{node}` is no structure"
        return
    members = {query_name(name, member): (name, member) for name, member in shape.members.items()}
    for key, value in node.items():
        path = f"{where}.{key}".lstrip(".")
        if key not in members:
            yield f"{path}: is not known"
        else:
            yield from value_of(members[key][1], value, path)
    present = {members[key][0] for key in node if key in members}
    for name in shape.required_members:
        if name not in present:
            yield f"{where or 'request'}: lacks {name}"


def value_of(shape, node, where):
    if shape.type_name == "structure":
        yield from structure(shape, node, where)
    elif shape.type_name == "list":
        yield from list_of(shape, node, where)
    elif isinstance(node, dict):
        yield f"{where}: is a {shape.type_name} and has members"
    else:
        yield from scalar(shape, node, where)


def list_of(shape, node, where):
    if not isinstance(node, dict):
        yield f"{where}: `{node}` is no list"
        return
    if sorted(node, key=str) != sorted((str(n + 1) for n in range(len(node))), key=str):
        yield f"{where}: its members are not numbered from 1"
    for index, element in node.items():
        yield from value_of(shape.member, element, f"{where}.{index}")


def scalar(shape, text, where):
    kind = shape.type_name
    if kind == "boolean":
        right = text in ("true", "false")
    elif kind in ("integer", "long"):
        right = re.fullmatch(r"-?\d+", text) is not None
    elif kind in ("float", "double"):
        right = re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", text) is not None
    elif kind == "timestamp":
        right = is_timestamp(text)
    elif kind == "blob":
        right = is_base64(text)
    else:
        right = True
    if not right:
        yield f"{where}: `{text}` is no {kind}"
        return
    words = getattr(shape, "enum", [])
    if words and text not in words:
        yield f"{where}: `{text}` is none of {', '.join(words[:8])}"
    limits = shape.metadata
    size = int(text) if kind in ("integer", "long") else len(text)
    if "min" in limits and size < limits["min"] or "max" in limits and size > limits["max"]:
        yield f"{where}: `{text[:40]}` is not between {limits.get('min')} and {limits.get('max')}"
    if "pattern" in limits and not re.search(limits["pattern"], text):
        yield f"{where}: `{text[:40]}` does not look like {limits['pattern']}"


def is_timestamp(text):
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def is_base64(text):
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


# Answers.


def judge_answer(name, shape, status, text):
    try:
        root = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        return [f"is no XML: {error}"]
    if status >= 300:
        return list(judge_error(root))
    if local(root.tag) != f"{name}Response":
        return [f"begins with {local(root.tag)}"]
    findings = []
    members = [child for child in root if local(child.tag) != "requestId"]
    if len(members) == len(list(root)):
        findings.append("has no requestId")
    if shape is None:
        # Operations without an output answer `<return>true</return>`.
        return findings + [
            f"{local(child.tag)}: is not known" for child in members if local(child.tag) != "return"
        ]
    return findings + list(element_structure(shape, members, ""))


def judge_error(root):
    codes = [child for child in root.iter() if local(child.tag) == "Code"]
    if local(root.tag) != "Response" or root.find("Errors/Error") is None:
        yield "an error is not in Response/Errors/Error"
    if not codes or not codes[0].text:
        yield "an error has no Code"
    if root.find("Errors/Error/Message") is None:
        yield "an error has no Message"
    if root.find("RequestID") is None:
        yield "an error has no RequestID"


def local(tag):
    return tag.rsplit("}", 1)[-1]


def element_structure(shape, children, where):
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    seen = set()
    for child in children:
        name = local(child.tag)
        path = f"{where}.{name}".lstrip(".")
        if name in seen:
            yield f"{path}: is there twice"
        seen.add(name)
        if name not in members:
            # What EC2 itself sends for operations whose result nobody reads.
            if not (where == "" and name == "return"):
                yield f"{path}: is not known"
            continue
        yield from element(members[name], child, path)


def element(shape, node, where):
    if shape.type_name == "structure":
        yield from element_structure(shape, list(node), where)
    elif shape.type_name == "list":
        wanted = shape.member.serialization.get("name", "item")
        for child in node:
            if local(child.tag) != wanted:
                yield f"{where}: has a {local(child.tag)} and not a {wanted}"
            else:
                yield from element(shape.member, child, f"{where}.{wanted}")
    elif len(node):
        yield f"{where}: is a {shape.type_name} and has members"
    else:
        yield from scalar(shape, node.text or "", where)


def main(paths):
    model = service_model()
    findings, calls = {}, 0
    for path in paths:
        with open(path, encoding="utf-8") as journal:
            for line in journal:
                calls += 1
                for finding in judge(model, json.loads(line)):
                    # The index of a list's member makes no other finding.
                    findings.setdefault(re.sub(r"\.\d+", ".N", finding), 0)
                    findings[re.sub(r"\.\d+", ".N", finding)] += 1
    for finding, count in sorted(findings.items()):
        print(f"{finding} ({count} times)")
    print(f"{calls} calls, {len(findings)} findings", file=sys.stderr)
    if calls == 0:
        sys.exit("judge: there is nothing to judge")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
