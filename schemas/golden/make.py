"""Writes the golden data: one envelope per record of each topic's union, as another library encodes it.

Each `<Envelope>.<Record>.hex` is a datum encoded by fastavro from `resolved/`, each `.json` beside it what the datum
says. The test `contract` decodes the one, compares it with the other, and encodes it again. Run once per new record:

    pip install fastavro==1.13.1 && python golden/make.py

Files that exist are left alone: a golden datum never changes.
"""

import datetime
import decimal
import io
import json
import pathlib

import fastavro

ROOT = pathlib.Path(__file__).resolve().parent.parent
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
AMOUNTS = ["12.34", "0", "-0.0001", "0.0127", "0.0128", "9999999999999999999999999999999999.9999", "-1000000", "100",
           "-9999999999999999999999999999999999.9999"]
TEXTS = ["plain", "", "Grüße, 你好", "a\"b\\c", "x" * 70]
IDS = {
    "AccountId": ["alice", "world:EUR:07", "fees:JPY", "a" * 64],
    "TransactionId": ["tx-0001", "T.2_b"],
    "Currency": ["EUR", "JPY", "KWD", "CLF"],
}


class Maker:
    """Makes values, no two alike, and their JSON."""

    def __init__(self, schema):
        self.count = 0
        self.named = {}
        self.collect(schema)

    def collect(self, schema):
        """Notes the definitions of named types."""
        if isinstance(schema, list):
            for branch in schema:
                self.collect(branch)
        elif isinstance(schema, dict):
            if schema["type"] in ("record", "enum", "fixed"):
                self.named[f"{schema['namespace']}.{schema['name']}"] = schema
            for part in [schema["type"], schema.get("items"), schema.get("values")]:
                self.collect(part)
            for field in schema.get("fields", []):
                self.collect(field["type"])

    def pick(self, choices):
        self.count += 1
        return choices[self.count % len(choices)]

    def make(self, schema):
        """A value of the schema: for the encoder, and as our JSON."""
        if isinstance(schema, list):
            # Two in three are there.
            return (None, None) if self.pick([0, 1, 2]) == 0 else self.make(schema[1])
        if isinstance(schema, str):
            if schema in self.named:
                return self.make(self.named[schema])
            return self.plain(schema)
        kind, logical = schema["type"], schema.get("logicalType")
        if kind == "record":
            both = {field["name"]: self.make(field["type"]) for field in schema["fields"]}
            return {name: value for name, (value, _) in both.items()}, {name: text for name, (_, text) in both.items()}
        if kind == "enum":
            return (self.pick(schema["symbols"]),) * 2
        if kind == "fixed":
            octets = bytes((self.count * 7 + index * 31) % 256 for index in range(schema["size"]))
            self.count += 1
            return octets, octets.hex()
        if kind == "array":
            both = [self.make(schema["items"]) for _ in range(self.pick([0, 1, 2, 3]))]
            return [value for value, _ in both], [text for _, text in both]
        if kind == "map":
            both = {f"key{index}": self.pick(TEXTS) for index in range(self.pick([0, 1, 3]))}
            return both, both
        if logical == "decimal":
            text = self.pick(AMOUNTS)
            return decimal.Decimal(text), text
        if logical == "timestamp-micros":
            self.count += 1
            time = EPOCH + datetime.timedelta(seconds=self.count * 1_000_003)
            return time, time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if logical == "date":
            self.count += 1
            day = EPOCH.date() + datetime.timedelta(days=self.count)
            return day, day.isoformat()
        if "tributary" in schema:
            return (self.pick(IDS[schema["tributary"]]),) * 2
        return self.plain(kind)

    def plain(self, kind):
        """A value of a primitive."""
        if kind == "bytes":
            self.count += 1
            return bytes([self.count % 256, 0, 255]), bytes([self.count % 256, 0, 255]).hex()
        choices = {
            "boolean": [True, False],
            "int": [0, 1, 63, 64, 2**31 - 1],
            "long": [1, 2**40, 0, 2**63 - 1],
            "string": TEXTS,
        }
        return (self.pick(choices[kind]),) * 2


def main():
    decimal.getcontext().prec = 60
    for path in sorted((ROOT / "resolved").glob("*.avsc")):
        schema = json.loads(path.read_text())
        parsed = fastavro.parse_schema(json.loads(path.read_text()))
        *header, body = schema["fields"]
        for branch in body["type"]:
            maker = Maker(schema)
            record = branch if isinstance(branch, dict) else maker.named[branch]
            maker.count = len(record["name"])
            values = {field["name"]: maker.make(field["type"]) for field in header}
            value, text = maker.make(record)
            name = f"{record['namespace']}.{record['name']}"
            datum = {field: encoded for field, (encoded, _) in values.items()} | {"body": (name, value)}
            out = io.BytesIO()
            fastavro.schemaless_writer(out, parsed, datum, strict=True)
            says = {
                "header": {field: shown for field, (_, shown) in values.items()},
                "body": {"type": record["name"]} | text,
            }
            golden = ROOT / "golden" / f"{schema['name']}.{record['name']}"
            if not golden.with_name(golden.name + ".hex").exists():
                golden.with_name(golden.name + ".hex").write_text(out.getvalue().hex() + "\n")
                golden.with_name(golden.name + ".json").write_text(json.dumps(says, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
