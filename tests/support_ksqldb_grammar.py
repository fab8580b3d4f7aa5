"""A parser of the part of ksqlDB's language that is sent, after its public grammar: what it refuses, a server would.

The server reads everything outside of quotes in capitals, knows no escapes in text but doubled apostrophes, and puts
variables in for `${name}` wherever they stand.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from lark import Lark, Token, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAMMAR: Final = r"""
start: (statement ";")+
?statement: create | insert | drop | terminate
create: "CREATE" kind name elements? with? ("AS" query)?
insert: "INSERT" "INTO" name query
drop: "DROP" kind ("IF" "EXISTS")? name ("DELETE" "TOPIC")?
terminate: "TERMINATE" name
kind: "STREAM" -> stream | "TABLE" -> table
elements: "(" element ("," element)* ")"
element: name type constraint?
constraint: "PRIMARY"? "KEY"
with: "WITH" "(" option ("," option)* ")"
option: name "=" literal
type: "ARRAY" "<" type ">" | "STRUCT" "<" (name type ("," name type)*)? ">"
    | "DECIMAL" "(" INTEGER_VALUE "," INTEGER_VALUE ")" | name

query: "SELECT" item ("," item)* "FROM" source join? window? where? group? partition? "EMIT" "CHANGES"
item: expression "AS"? name
source: name name?
join: "LEFT" "JOIN" source "ON" expression
window: "WINDOW" "TUMBLING" "(" "SIZE" span ("," "RETENTION" span)? ("," "GRACE" "PERIOD" span)? ")"
span: INTEGER_VALUE unit
unit: "DAYS" | "HOURS" | "MINUTES" | "SECONDS" | "MILLISECONDS" | "DAY" | "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND"
where: "WHERE" expression
group: "GROUP" "BY" value ("," value)*
partition: "PARTITION" "BY" value ("," value)*

?expression: any
?any: any "OR" all -> or_ | all
?all: all "AND" not -> and_ | not
?not: "NOT" not -> not_ | predicated
?predicated: value comparison value -> compare | value "IS" "NOT"? "NULL" -> is_null | value
!comparison: "=" | "<>" | "!=" | "<" | "<=" | ">" | ">="
?value: sum
?sum: sum "+" product -> plus | sum "-" product -> minus | product
?product: product "*" sign -> times | product "/" sign -> divided | product "%" sign -> modulo | sign
?sign: "-" sign -> negative | "+" sign -> positive | primary
?primary: literal_value | case | cast | call | at | field | column | "(" expression ")"
case: "CASE" when+ ("ELSE" expression)? "END"
when: "WHEN" expression "THEN" expression
cast: "CAST" "(" expression "AS" type ")"
call: name "(" ("*" | expression ("," expression)* ("," lambda)*)? ")"
lambda: name "=>" expression
at: primary "[" value "]"
field: primary "->" name
column: name ("." name)?
literal: "-"? number | STRING | truth | "NULL" -> null
?literal_value: number | text | truth | "NULL" -> null
text: STRING
number: INTEGER_VALUE | DECIMAL_VALUE | FLOATING_POINT_VALUE
truth: "TRUE" -> true | "FALSE" -> false

name: IDENTIFIER | BACKQUOTED | non_reserved
!non_reserved: "DATE" | "TIMESTAMP" | "TIME" | "INTEGER" | "REPLACE" | "PARTITIONS" | "KEY" | "FINAL" | "SOURCE" | "DAY"
    | "HOUR" | "MINUTE" | "SECOND" | "ARRAY" | "STRUCT" | "MAP" | "PRIMARY" | "CHANGES"
    | "GRACE" | "PERIOD"

STRING: /'(?:[^']|'')*'/
INTEGER_VALUE: /[0-9]+/
DECIMAL_VALUE: /[0-9]+\.[0-9]*|\.[0-9]+/
FLOATING_POINT_VALUE: /[0-9]+(?:\.[0-9]*)?E[+-]?[0-9]+|\.[0-9]+E[+-]?[0-9]+/
IDENTIFIER: /[A-Z_][A-Z0-9_@]*/
BACKQUOTED: /`(?:[^`]|``)*`/
%import common.WS
%ignore WS
"""
RESERVED: Final = frozenset({
    "ALL", "DISTINCT", "WITHIN", "HAVING", "LIMIT", "AT", "IN", "BETWEEN", "LIKE", "ADVANCE", "FULL", "OUTER", "INNER",
    "RIGHT", "VALUES", "STREAMS", "DESCRIBE", "EXTENDED", "PRINT", "LIST", "TOPICS", "QUERY", "QUERIES", "PAUSE",
    "RESUME", "LOAD", "TO", "RENAME", "SAMPLE", "EXPORT", "CATALOG", "PROPERTIES", "BEGINNING", "UNSET", "RUN",
    "SCRIPT", "CONNECTOR", "CONNECTORS", "NAMESPACE", "MATERIALIZED", "VIEW", "YEARS", "MONTHS", "HOPPING",
})  # fmt: skip
"""Words that may not stand for names without quotes, beside those that the grammar uses."""
_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_QUOTED: Final = re.compile(r"('(?:[^']|'')*'|`(?:[^`]|``)*`)")


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False)


def parse(script: str) -> Tree[Token]:
    """Return the tree of statements.

    Raises:
        lark.exceptions.UnexpectedInput: A server would not understand them.
        ValueError: One has a variable in it, or a reserved word for a name.
    """
    if found := _VARIABLE.search(script):
        raise ValueError(f"{found[0]} would be replaced")
    pieces = _QUOTED.split(script)
    capitals = "".join(piece if number % 2 else piece.upper() for number, piece in enumerate(pieces))
    tree = _parser().parse(capitals)
    for token in tree.scan_values(lambda value: isinstance(value, Token) and value.type == "IDENTIFIER"):
        if token in RESERVED:
            raise ValueError(f"{token} is a reserved word")
    return tree


def names(tree: Tree[Token]) -> set[str]:
    """Return the names in backticks."""
    found = tree.scan_values(lambda value: isinstance(value, Token) and value.type == "BACKQUOTED")
    return {token[1:-1].replace("``", "`") for token in found}


def texts(tree: Tree[Token]) -> set[str]:
    """Return the texts; pieces that are put together again in one."""
    return set(_texts(tree))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Token):
        if node.type == "STRING":
            yield node[1:-1].replace("''", "'")
        return
    children = list(node.children)
    if node.data == "call" and children[0].children == ["CONCAT"]:
        parts = [[*_texts(child)] for child in children[1:]]
        if all(isinstance(child, Tree) and child.data == "text" for child in children[1:]):
            yield "".join(part for found in parts for part in found)
            return
    for child in children:
        yield from _texts(child)
