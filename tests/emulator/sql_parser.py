"""Query text to syntax tree: a recursive-descent parser of the service's SQL. Raises 400 SC1001 for anything else."""

from functools import lru_cache

from . import sql_ast as ast
from .sql_lexer import RESERVED, Cursor, syntax_error

_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"|"}),
    frozenset({"^"}),
    frozenset({"&"}),
    frozenset({"<<", ">>"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_COMPARISONS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}


class Parser(Cursor):
    """Parses one text; `statement` is the entry."""

    def statement(self) -> ast.Select:
        select = self.select()
        if self.next.kind != "end":
            raise self.error()
        return select

    def select(self) -> ast.Select:
        select = ast.Select()
        self.expect("SELECT")
        select.distinct = self.accept("DISTINCT")
        if self.accept("TOP"):
            select.top = self.primary()
        if self.accept("*"):
            select.star = True
        else:
            select.value = self.accept("VALUE")
            self._columns(select)
        if self.accept("FROM"):
            start = self.at
            self._sources(select)
            select.from_text = self.since(start)
        if self.accept("WHERE"):
            start = self.at
            select.where = self.expression()
            select.where_text = self.since(start)
        if self.accept("GROUP", "BY"):
            select.group_by = self._list()
        if self.accept("ORDER", "BY"):
            self._orders(select)
        if self.accept("OFFSET"):
            select.offset = self.primary()
            self.expect("LIMIT")
            select.limit = self.primary()
        elif self.accept("LIMIT"):
            select.offset, select.limit = ast.Constant(0), self.primary()
        return select

    def _columns(self, select: ast.Select) -> None:
        unnamed = 0
        while True:
            start = self.at
            expression = self.expression()
            text, alias = self.since(start), ""
            if not select.value and (
                self.accept("AS") or (self.next.kind == "name" and self.next.upper not in RESERVED)
            ):
                alias = self.advance().text
            elif isinstance(expression, ast.Member) and isinstance(expression.name, ast.Constant):
                alias = str(expression.name.value)
            elif isinstance(expression, ast.Name):
                alias = expression.name
            else:
                unnamed += 1
                alias = f"${unnamed}"
            select.columns.append(ast.Column(expression, alias, text))
            if select.value or not self.accept(","):
                return

    def _sources(self, select: ast.Select) -> None:
        select.sources.append(self._source(first=True))
        while self.accept("JOIN"):
            select.sources.append(self._source(first=False))
        path = select.sources[0].path
        if path is not None:
            while isinstance(path, ast.Member):
                path = path.of
            if isinstance(path, ast.Name):
                select.sources.insert(0, ast.Source(path.name, None, False))

    def _source(self, first: bool) -> ast.Source:
        if self.next.kind == "name" and self.tokens[self.at + 1].upper == "IN":
            alias = self.identifier()
            self.expect("IN")
            return ast.Source(alias, self.postfix(), True)
        path = self.postfix()
        if not isinstance(path, ast.Name | ast.Member | ast.Subquery):
            raise self.error()
        alias = path.name if isinstance(path, ast.Name) else ""
        if self.accept("AS") or (self.next.kind == "name" and self.next.upper not in RESERVED):
            alias = self.identifier()
        elif isinstance(path, ast.Member) and isinstance(path.name, ast.Constant):
            alias = str(path.name.value)
        return ast.Source(alias, None if isinstance(path, ast.Name) and first else path, False)

    def _orders(self, select: ast.Select) -> None:
        while True:
            start = self.at
            expression = self.expression()
            text = self.since(start)
            descending = self.accept("DESC")
            if not descending:
                self.accept("ASC")
            select.order_by.append(ast.Order(expression, descending, text))
            if not self.accept(","):
                return

    def _list(self) -> list[ast.Expression]:
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        return found

    # ------------------------------------------------------------------------------------------ expressions

    def expression(self) -> ast.Expression:
        test = self._coalesce()
        if self.accept("?"):
            then = self.expression()
            self.expect(":")
            return ast.Conditional(test, then, self.expression())
        return test

    def _coalesce(self) -> ast.Expression:
        left = self._or()
        while self.accept("??"):
            left = ast.Binary("??", left, self._or())
        return left

    def _or(self) -> ast.Expression:
        operands = [self._and()]
        while self.accept("OR"):
            operands.append(self._and())
        return ast.Logic("OR", tuple(operands)) if len(operands) > 1 else operands[0]

    def _and(self) -> ast.Expression:
        operands = [self._not()]
        while self.accept("AND"):
            operands.append(self._not())
        return ast.Logic("AND", tuple(operands)) if len(operands) > 1 else operands[0]

    def _not(self) -> ast.Expression:
        return ast.Unary("NOT", self._not()) if self.accept("NOT") else self._comparison()

    def _comparison(self) -> ast.Expression:
        left = self._binary(0)
        while True:
            negated = self.next.upper == "NOT" and self.tokens[self.at + 1].upper in ("IN", "BETWEEN", "LIKE")
            if negated:
                self.advance()
            if self.next.upper in _COMPARISONS and self.next.kind == "symbol":
                operator = self.advance().text.replace("<>", "!=")
                left = ast.Binary(operator, left, self._binary(0))
                continue
            if self.accept("IN"):
                self.expect("(")
                test: ast.Expression = ast.In(left, tuple(self._list()))
                self.expect(")")
            elif self.accept("BETWEEN"):
                low = self._binary(0)
                self.expect("AND")
                test = ast.Between(left, low, self._binary(0))
            elif self.accept("LIKE"):
                pattern = self._binary(0)
                test = ast.Like(left, pattern, self.primary() if self.accept("ESCAPE") else None)
            else:
                return left
            left = ast.Unary("NOT", test) if negated else test

    def _binary(self, level: int) -> ast.Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self.next.kind == "symbol" and self.next.text in _LEVELS[level]:
            operator = self.advance().text
            left = ast.Binary(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> ast.Expression:
        if self.next.kind == "symbol" and self.next.text in ("-", "+", "~", "!"):
            operator = self.advance().text
            return ast.Unary("NOT" if operator == "!" else operator, self._unary())
        return self.postfix()

    def postfix(self) -> ast.Expression:
        value = self.primary()
        while True:
            if self.accept("."):
                if self.next.kind != "name":
                    raise self.error()
                value = ast.Member(value, ast.Constant(self.advance().text))
            elif self.accept("["):
                value = ast.Member(value, self.expression())
                self.expect("]")
            else:
                return value

    def primary(self) -> ast.Expression:
        token = self.next
        if token.kind in ("number", "string"):
            return ast.Constant(self.advance().value)
        if token.kind == "parameter":
            return ast.Parameter(self.advance().text)
        if self.accept("("):
            if self.next.upper == "SELECT":
                return self._subquery("scalar")
            value = self.expression()
            self.expect(")")
            return value
        if self.accept("["):
            elements = () if self.next.upper == "]" else tuple(self._list())
            self.expect("]")
            return ast.ArrayOf(elements)
        if self.accept("{"):
            return self._object()
        if token.upper in ("EXISTS", "ARRAY") and self.tokens[self.at + 1].upper == "(":
            self.at += 2
            return self._subquery(token.upper.lower())
        if token.kind == "name" and token.upper in _CONSTANTS:
            self.advance()
            return ast.Constant(_CONSTANTS[token.upper])
        return self._named()

    def _subquery(self, mode: str) -> ast.Subquery:
        select = self.select()
        self.expect(")")
        return ast.Subquery(mode, select)

    def _object(self) -> ast.Expression:
        properties: list[tuple[str, ast.Expression]] = []
        while not self.accept("}"):
            if properties:
                self.expect(",")
            name = self.advance()
            self.expect(":")
            properties.append((str(name.value), self.expression()))
        return ast.ObjectOf(tuple(properties))

    def _named(self) -> ast.Expression:
        name = self.identifier()
        while self.tokens[self.at].text == "." and name.lower() == "udf":
            raise syntax_error(f"User-defined functions are not supported here: '{name}'.")
        if not self.accept("("):
            return ast.Name(name)
        arguments = () if self.next.upper == ")" else tuple(self._list())
        self.expect(")")
        return ast.Call(name.upper(), arguments)


@lru_cache(maxsize=1000)
def parse(text: str) -> ast.Select:
    """The statement that `text` is."""
    return Parser(text).statement()


@lru_cache(maxsize=1000)
def parse_condition(text: str) -> ast.Select:
    """The `FROM c WHERE ...` of a conditional patch."""
    return Parser(f"SELECT * {text}").statement()
