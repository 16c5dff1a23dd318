//! The OpenAPI document: routes, parameters and answers from the descriptors, with the comments
//! of the .proto files as descriptions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost_reflect::{
    prost_types::source_code_info::Location, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor,
};
use serde_json::{json, Map, Value as Json};

use super::{
    json::Schema,
    routes::{Route, Verb},
};

/// How deep parameters of a query reach into the request's fields.
const MAX_PARAMETER_DEPTH: usize = 3;

/// The document of these routes.
pub fn document<'a>(schema: &Schema, routes: impl Iterator<Item = &'a Route>) -> Vec<u8> {
    let mut writer = Writer { schema, comments: Comments::new(schema), queue: BTreeSet::new() };
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    for route in routes {
        let operation = writer.operation(route);
        let path = paths.entry(route.template()).or_default();
        path.insert(route.verb.name().to_owned(), operation);
    }
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Stoa",
            "description": "The REST interface of a Stoa node. Integers of 64 bits and decimals \
                are strings, bytes are base64. Lists come in pages: follow `pagination.next_key` \
                by `pagination.key`.",
            "version": "v1",
        },
        "paths": paths,
        "components": { "schemas": writer.schemas() },
    });
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

struct Writer<'a> {
    schema: &'a Schema,
    comments: Comments,
    /// Messages that are referred to, by full name.
    queue: BTreeSet<String>,
}

impl Writer<'_> {
    fn operation(&mut self, route: &Route) -> Json {
        let method = &route.method;
        let output = self.message(&method.output());
        let mut operation = json!({
            "tags": [method.parent_service().full_name()],
            "operationId": operation_id(route),
            "responses": {
                "200": {
                    "description": "The answer.",
                    "headers": { "x-cosmos-block-height": {
                        "description": "The height of the state that was looked at.",
                        "schema": { "type": "string", "format": "uint64" },
                    } },
                    "content": { "application/json": { "schema": output } },
                },
                "default": {
                    "description": "A refusal, by the code of gRPC.",
                    "content": { "application/json": { "schema":
                        { "$ref": "#/components/schemas/Error" } } },
                },
            },
        });
        if let Some(comment) = self.comments.of_method(method) {
            operation["summary"] = comment.into();
        }
        match route.verb {
            Verb::Get => operation["parameters"] = self.parameters(route).into(),
            Verb::Post => {
                let input = self.message(&method.input());
                operation["requestBody"] = json!({
                    "required": true,
                    "content": { "application/json": { "schema": input } },
                });
            }
        }
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Json> {
        let input = route.method.input();
        let in_path: Vec<_> = route.path_fields().map(str::to_owned).collect();
        let mut parameters = Vec::new();
        for name in &in_path {
            if let Some(field) = field_at(&input, name) {
                parameters.push(self.parameter(name, &field, "path"));
            }
        }
        self.query(&input, "", &in_path, MAX_PARAMETER_DEPTH, &mut parameters);
        parameters
    }

    /// The fields of a message that a query may name.
    fn query(
        &mut self,
        of: &MessageDescriptor,
        prefix: &str,
        in_path: &[String],
        depth: usize,
        into: &mut Vec<Json>,
    ) {
        for field in of.fields() {
            let name = format!("{prefix}{}", field.name());
            if in_path.contains(&name) {
                continue;
            }
            match field.kind() {
                Kind::Message(inner) if !is_special(&inner) => {
                    if !field.is_list() && depth > 0 {
                        self.query(&inner, &format!("{name}."), in_path, depth - 1, into);
                    }
                }
                _ => into.push(self.parameter(&name, &field, "query")),
            }
        }
    }

    fn parameter(&mut self, name: &str, field: &FieldDescriptor, place: &str) -> Json {
        let mut parameter = json!({ "name": name, "in": place, "schema": self.field(field) });
        if place == "path" {
            parameter["required"] = true.into();
        }
        if let Some(comment) = self.comments.of_field(field) {
            parameter["description"] = comment.into();
        }
        parameter
    }

    fn field(&mut self, field: &FieldDescriptor) -> Json {
        let one = match field.kind() {
            Kind::Message(of) => self.message(&of),
            Kind::Enum(of) => enumeration(&of),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32" })
            }
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "int64" }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            Kind::Float | Kind::Double => json!({ "type": "number" }),
            Kind::String | Kind::Bytes if self.schema.is_decimal(field) => {
                json!({ "type": "string", "format": "decimal", "example": "0.100000000000000000" })
            }
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "format": "byte" }),
        };
        if field.is_list() {
            return json!({ "type": "array", "items": one });
        }
        one
    }

    /// A message, or a reference to it.
    fn message(&mut self, of: &MessageDescriptor) -> Json {
        match of.full_name() {
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.Duration" => json!({ "type": "string", "example": "1814400s" }),
            "google.protobuf.Any" => json!({
                "type": "object",
                "properties": { "@type": { "type": "string" } },
                "required": ["@type"],
                "additionalProperties": true,
            }),
            name => {
                self.queue.insert(name.to_owned());
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
        }
    }

    /// All messages that are referred to, and those that they refer to.
    fn schemas(&mut self) -> Json {
        let mut done: BTreeMap<String, Json> = BTreeMap::new();
        done.insert("Error".to_owned(), error_schema());
        while let Some(name) = self.queue.pop_first() {
            if done.contains_key(&name) {
                continue;
            }
            if let Some(of) = self.schema.pool().get_message_by_name(&name) {
                let schema = self.object(&of);
                done.insert(name, schema);
            }
        }
        json!(done)
    }

    fn object(&mut self, of: &MessageDescriptor) -> Json {
        let mut properties = Map::new();
        for field in of.fields() {
            let mut property = self.field(&field);
            if let Some(comment) = self.comments.of_field(&field) {
                // Nothing may stand beside a reference.
                if property.get("$ref").is_some() {
                    property = json!({ "allOf": [property] });
                }
                property["description"] = comment.into();
            }
            properties.insert(field.name().to_owned(), property);
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if let Some(comment) = self.comments.of_message(of) {
            object["description"] = comment.into();
        }
        object
    }
}

fn error_schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "code": { "type": "integer", "format": "int32" },
            "message": { "type": "string" },
            "details": { "type": "array", "items": { "type": "object" } },
        },
    })
}

fn enumeration(of: &EnumDescriptor) -> Json {
    let names: Vec<_> = of.values().map(|value| value.name().to_owned()).collect();
    json!({ "type": "string", "enum": names })
}

/// Distinct for each way to a method.
fn operation_id(route: &Route) -> String {
    let service = route.method.parent_service().full_name().replace('.', "_");
    let by: String =
        route.path_fields().map(|field| format!("_{}", field.replace('.', "_"))).collect();
    format!("{service}_{}{by}", route.method.name())
}

fn field_at(of: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => of.get_field_by_name(path),
        Some((first, rest)) => {
            let inner = of.get_field_by_name(first)?.kind().as_message().cloned()?;
            field_at(&inner, rest)
        }
    }
}

fn is_special(of: &MessageDescriptor) -> bool {
    of.package_name() == "google.protobuf"
}

/// The comments of the .proto files, by file and place in it.
struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    fn new(schema: &Schema) -> Self {
        let mut comments = HashMap::new();
        for file in schema.pool().files() {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for location in info.map(|info| info.location.as_slice()).unwrap_or_default() {
                if let Some(comment) = comment(location) {
                    comments.insert((file.name().to_owned(), location.path.clone()), comment);
                }
            }
        }
        Self(comments)
    }

    fn at(&self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        self.0.get(&(file.name().to_owned(), path.to_vec())).cloned()
    }

    fn of_method(&self, method: &MethodDescriptor) -> Option<String> {
        self.at(&method.parent_service().parent_file(), method.path())
    }

    fn of_message(&self, message: &MessageDescriptor) -> Option<String> {
        self.at(&message.parent_file(), message.path())
    }

    fn of_field(&self, field: &FieldDescriptor) -> Option<String> {
        self.at(&field.parent_message().parent_file(), field.path())
    }
}

/// A comment in one line.
fn comment(location: &Location) -> Option<String> {
    let lines = location.leading_comments.as_deref()?.lines().map(str::trim);
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}
