/** Types and parsed documents of the operations in src/, from schema.graphql, by GraphQL Code Generator. */
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { buildSchema, isAbstractType, parse } from "graphql";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const schema = buildSchema(read("../schema.graphql"));
const document = parse(read("src/desk/operations.graphql"));
const plugins = { operations, typedDocumentNode };

const source = await codegen({
  filename: "generated.ts",
  schema: parse(read("../schema.graphql")),
  schemaAst: schema,
  documents: [{ location: "src/desk/operations.graphql", document }],
  plugins: Object.keys(plugins).map((name) => ({ [name]: {} })),
  pluginMap: plugins,
  config: {
    enumsAsTypes: true,
    useTypeImports: true,
    dedupeFragments: true,
    nonOptionalTypename: true,
    skipTypeNameForRoot: true,
    scalars: { DateTime: "string", UUID: "string", Decimal: "string", ConsistencyToken: "string" },
  },
});
const abstract = Object.values(schema.getTypeMap()).filter(
  (type) => isAbstractType(type) && !type.name.startsWith("__"),
);
const possibleTypes = Object.fromEntries(
  abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]),
);
writeFileSync(
  new URL("src/generated.ts", import.meta.url),
  `${source}\nexport const possibleTypes = ${JSON.stringify(possibleTypes)};\n`,
);
