//! The route table, made from the `google.api.http` options of the methods.

use std::collections::BTreeSet;

use anyhow::{bail, Context, Result};
use prost_reflect::{DynamicMessage, ExtensionDescriptor, MethodDescriptor, Value};

use super::json::Schema;

/// What a route is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// The request stands in path and query.
    Get,
    /// The request is the body.
    Post,
}

impl Verb {
    /// In lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}

/// A part of a path. The order is that in which routes are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// These letters.
    Literal(String),
    /// A value of this field of the request.
    One(String),
    /// Everything that follows, slashes too.
    Rest(String),
}

/// One way to a method.
#[derive(Debug, Clone)]
pub struct Route {
    /// How it is called.
    pub verb: Verb,
    /// Its path.
    pub segments: Vec<Segment>,
    /// What is called.
    pub method: MethodDescriptor,
    /// The method's gRPC path.
    pub rpc: String,
    /// Whether the node serves it.
    pub served: bool,
}

/// All routes.
pub struct Table {
    routes: Vec<Route>,
}

/// What a path leads to.
pub enum Found<'a> {
    /// A method, with the values that the path names by field.
    Route(&'a Route, Vec<(&'a str, String)>),
    /// A path that is called in another way.
    OtherVerb(Verb),
    /// Nothing.
    Nothing,
}

impl Table {
    /// The routes of all methods; `served` are the gRPC paths that the node answers.
    pub fn new(schema: &Schema, served: &BTreeSet<&str>) -> Result<Self> {
        let http = schema.pool().get_extension_by_name("google.api.http");
        let http = http.context("no option google.api.http")?;
        let mut routes = Vec::new();
        for service in schema.pool().services() {
            for method in service.methods() {
                let rpc = format!("/{}/{}", service.full_name(), method.name());
                let served = served.contains(rpc.as_str());
                for (verb, path) in bindings(&method, &http)? {
                    let segments = parse(&path).with_context(|| format!("{rpc}: {path}"))?;
                    let (method, rpc) = (method.clone(), rpc.clone());
                    routes.push(Route { verb, segments, method, rpc, served });
                }
            }
        }
        // What is written out goes before what is named: blocks/latest before blocks/{height}.
        routes.sort_by(|a, b| (&a.segments, a.verb).cmp(&(&b.segments, b.verb)));
        Ok(Self { routes })
    }

    /// In the order in which they are tried.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Where a path leads; its parts are percent-encoded.
    pub fn find(&self, verb: Verb, path: &str) -> Found<'_> {
        let parts: Vec<String> = path.split('/').skip(1).map(decode_percent).collect();
        let mut other = None;
        for route in &self.routes {
            if let Some(values) = route.matches(&parts) {
                if route.verb == verb {
                    return Found::Route(route, values);
                }
                other = Some(route.verb);
            }
        }
        other.map_or(Found::Nothing, Found::OtherVerb)
    }
}

impl Route {
    /// The path with its fields in braces.
    pub fn template(&self) -> String {
        let parts = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::One(field) | Segment::Rest(field) => format!("/{{{field}}}"),
        });
        parts.collect()
    }

    /// The fields that stand in the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(field) | Segment::Rest(field) => Some(field.as_str()),
        })
    }

    fn matches(&self, parts: &[String]) -> Option<Vec<(&str, String)>> {
        let mut parts = parts.iter();
        let mut values = Vec::new();
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(text) if text == part => {}
                Segment::Literal(_) => return None,
                _ if part.is_empty() => return None,
                Segment::One(field) => values.push((field.as_str(), part.clone())),
                Segment::Rest(field) => {
                    let rest = parts.by_ref().fold(part.clone(), |all, part| all + "/" + part);
                    values.push((field.as_str(), rest));
                }
            }
        }
        parts.next().is_none().then_some(values)
    }
}

/// A method's ways: that of its option, and those beside it.
fn bindings(method: &MethodDescriptor, http: &ExtensionDescriptor) -> Result<Vec<(Verb, String)>> {
    let options = method.options();
    if !options.has_extension(http) {
        return Ok(Vec::new());
    }
    let rule = options.get_extension(http).into_owned();
    let Value::Message(rule) = rule else { bail!("google.api.http is no message") };
    let more = rule.get_field_by_name("additional_bindings").map(|value| value.into_owned());
    let more = more.as_ref().and_then(Value::as_list).unwrap_or_default();
    std::iter::once(&rule).chain(more.iter().filter_map(Value::as_message)).map(binding).collect()
}

fn binding(rule: &DynamicMessage) -> Result<(Verb, String)> {
    for verb in [Verb::Get, Verb::Post] {
        if rule.has_field_by_name(verb.name()) {
            let path = rule.get_field_by_name(verb.name()).map(|value| value.into_owned());
            let path = path.as_ref().and_then(Value::as_str).unwrap_or_default();
            return Ok((verb, path.to_owned()));
        }
    }
    bail!("a rule has neither get nor post")
}

fn parse(path: &str) -> Result<Vec<Segment>> {
    let path = path.strip_prefix('/').context("a path begins with /")?;
    let segments = path.split('/').map(|part| {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => Segment::Literal(part.to_owned()),
            Some(name) => match name.strip_suffix("=**") {
                Some(name) => Segment::Rest(name.to_owned()),
                None => Segment::One(name.to_owned()),
            },
        }
    });
    Ok(segments.collect())
}

/// What `%2F` and the like stand for; what they do not stand for stays.
pub fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
