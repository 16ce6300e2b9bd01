"""A model hub in memory: what the clients of Hugging Face ask of one, and no more. It is a proxy of itself: a request
that names a whole URL is answered like any other, and is written down as one that came by a proxy."""

import hashlib
import http.server
import json
import re
import threading
from urllib import parse


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Repository:
    """Files of one revision. What is not text is kept as the hub keeps large files: by its SHA-256."""

    def __init__(self, files, commit="c" * 40, branch="main"):
        self.files = files
        self.commit = commit
        self.branch = branch

    def knows(self, revision):
        return revision in (self.branch, self.commit)

    @staticmethod
    def is_large(path):
        return not path.endswith((".json", ".md", ".txt", ".py", ".jinja"))

    def etag(self, path):
        content = self.files[path]
        if self.is_large(path):
            return digest(content)
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def siblings(self, with_sizes):
        for path, content in self.files.items():
            sibling = {"rfilename": path}
            if with_sizes:
                sibling |= {"size": len(content), "blobId": self.etag(path)}
                if self.is_large(path):
                    sibling["lfs"] = {"sha256": digest(content), "size": len(content), "pointerSize": 134}
            yield sibling

    def tree(self):
        for path, content in self.files.items():
            entry = {"type": "file", "oid": self.etag(path), "size": len(content), "path": path}
            if self.is_large(path):
                entry["lfs"] = {"oid": digest(content), "size": len(content), "pointerSize": 134}
            yield entry


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def refuse(self, status, code, message):
        self.answer(status, b"{}", X_Error_Code=code, X_Error_Message=message)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server
        url = parse.urlsplit(self.path)
        hub.asked.append({"path": url.path, "by_proxy": bool(url.netloc), "headers": dict(self.headers), "method": self.command})
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.refuse(401, "GatedRepo", "Access to this model is restricted")
        path = parse.unquote(url.path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)/?)?", path):
            name, kind, revision = found.groups()
            repository = hub.find(name, revision or "main")
            if repository is None:
                return self.refuse(404, "RepoNotFound" if name not in hub.names() else "RevisionNotFound", "not here")
            if kind == "tree":
                return self.json(list(repository.tree()))
            siblings = list(repository.siblings("blobs" in parse.parse_qs(url.query)))
            return self.json({"_id": "1", "id": name, "modelId": name, "sha": repository.commit, "private": False,
                              "gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0,
                              "siblings": siblings})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, file = found.groups()
            repository = hub.find(name, revision)
            if repository is None or file not in repository.files:
                return self.refuse(404, "EntryNotFound", "not here")
            return self.file(repository, file)
        return self.refuse(404, "RepoNotFound", "not here")

    def file(self, repository, path):
        content = repository.files[path]
        etag = f'"{repository.etag(path)}"'
        headers = {"ETag": etag, "X_Repo_Commit": repository.commit, "Accept_Ranges": "bytes"}
        if repository.is_large(path):
            headers |= {"X_Linked_ETag": etag, "X_Linked_Size": str(len(content))}
        if self.command == "HEAD":
            return self.answer(200, Content_Length=str(len(content)), **headers)
        start, end = 0, len(content)
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else end, end)
            headers["Content_Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        part = content[start:end]
        status = 206 if wanted else 200
        self.server.served.append((path, start, end))
        if self.server.cut_after is not None and len(part) > self.server.cut_after:
            sent, self.server.cuts = part[:self.server.cut_after], self.server.cuts + 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(sent)
            self.wfile.flush()
            # What the client has, it has; and then the connection ends.
            self.server.pause.wait(self.server.seconds_before_cut)
            self.close_connection = True
            return None
        return self.answer(status, part, **headers)


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, token=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = []
        self.token = token
        self.asked, self.served = [], []
        # How many bytes of a file come before its connection ends, and how long before.
        self.cut_after, self.seconds_before_cut, self.cuts = None, 0, 0
        self.pause = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, name, files, **more):
        repository = Repository(files, **more)
        self.repositories.append((name, repository))
        return repository

    def names(self):
        return {name for name, _ in self.repositories}

    def find(self, wanted, revision):
        return next((one for name, one in self.repositories if name == wanted and one.knows(revision)), None)
