//! `services`: what runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Diagnostic, Diags, Pos};
use crate::expose::{self, ExposeSdl};
use crate::image::{self, ImageRef};
use crate::model::{Credentials, Egress};
use crate::names;
use crate::node::Field;
use crate::options::Options;
use crate::params::{self, ParamsSdl};
use crate::units::shown;

/// A service as the file states it.
pub(crate) struct ServiceSdl {
    pub at: Pos,
    pub path: String,
    /// Canonical: a registry's image or a blob.
    pub image: String,
    pub command: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub expose: Vec<ExposeSdl>,
    pub dependencies: Vec<(Pos, String, String)>,
    pub params: Option<ParamsSdl>,
    pub credentials: Option<Credentials>,
    pub egress: Egress,
}

const KEYS: &[&str] = &[
    "image",
    "command",
    "args",
    "env",
    "expose",
    "dependencies",
    "params",
    "credentials",
    "egress",
];

pub(crate) fn read(
    field: &Field<'_>,
    options: &Options,
    diags: &mut Diags,
) -> BTreeMap<String, ServiceSdl> {
    let mut services = BTreeMap::new();
    let entries = field.names(diags).unwrap_or_default();
    if entries.is_empty() {
        diags.push(field.name_error("no service is there").help("name one: `web: {image: nginx}`"));
    }
    for (name, field) in entries {
        if !names::is_service(name) {
            let message = format!("`{}` is not a service's name", shown(name));
            diags.push(field.name_error(message).help(
                "use a lower-case letter, then lower-case letters, digits and inner hyphens, \
                 63 at most",
            ));
        }
        services.insert(name.to_owned(), service(&field, options, diags));
    }
    services
}

fn service(field: &Field<'_>, options: &Options, diags: &mut Diags) -> ServiceSdl {
    let mut service = ServiceSdl {
        at: field.name_at(),
        path: field.path.clone(),
        image: String::new(),
        command: None,
        args: None,
        env: None,
        expose: Vec::new(),
        dependencies: Vec::new(),
        params: None,
        credentials: None,
        egress: Egress::Public,
    };
    let Some(map) = field.map(KEYS, diags) else { return service };
    let help = "name an image in a registry (`image: nginx:1.27`) or a file (`image: ./web.tar`)";
    if let Some(field) = map.required("image", help, diags) {
        service.image = read_image(&field, options, diags).unwrap_or_default();
    }
    service.command = map.get("command").and_then(|field| words(&field, diags));
    service.args = map.get("args").and_then(|field| words(&field, diags));
    service.env = map.get("env").and_then(|field| env(&field, diags));
    service.expose = map.get("expose").map(|field| expose::read(&field, diags)).unwrap_or_default();
    service.dependencies =
        map.get("dependencies").map(|field| dependencies(&field, diags)).unwrap_or_default();
    service.params = map.get("params").and_then(|field| params::read(&field, options, diags));
    service.credentials = map.get("credentials").and_then(|field| credentials(&field, diags));
    service.egress = map.get("egress").map(|field| egress(&field, diags)).unwrap_or_default();
    service
}

fn read_image(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<String> {
    let image = field.text(diags)?;
    if image::is_file(image) {
        if let Some(blob) = options.blobs.get(image) {
            return Some(blob.to_string());
        }
        let message = format!("the image file `{}` was not read", shown(image));
        diags.push(field.error(message).help(
            "it must be there as a tarball (docker save, or an OCI layout) beside the SDL file",
        ));
        return None;
    }
    if ImageRef::parse(image).is_none() {
        let message = match image {
            "" => "`image` is empty".to_owned(),
            _ => format!("`{}` is not an image", shown(image)),
        };
        diags.push(field.error(message).help(
            "name an image in a registry (nginx:1.27) or a file that begins with ./, ../ or /",
        ));
    }
    Some(image.to_owned())
}

/// The files that services name as their images, each once, with line and column.
pub(crate) fn image_files(services: &Field<'_>) -> Vec<(String, u32, u32)> {
    let mut unheard = Diags::default();
    let mut files: Vec<(String, u32, u32)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (_, service) in services.names(&mut unheard).unwrap_or_default() {
        let Some(map) = service.map(KEYS, &mut unheard) else { continue };
        let Some(field) = map.get("image") else { continue };
        let Some(path) = field.text(&mut unheard).filter(|path| image::is_file(path)) else {
            continue;
        };
        if seen.insert(path) {
            files.push((path.to_owned(), field.at().line, field.at().column));
        }
    }
    files
}

/// The files that services' volumes name as their content, each once, with line and column.
pub(crate) fn data_files(services: &Field<'_>) -> Vec<(String, u32, u32)> {
    let mut unheard = Diags::default();
    let services = services.names(&mut unheard).unwrap_or_default();
    let maps = services.into_iter().filter_map(|(_, service)| service.map(KEYS, &mut unheard));
    let params = maps.filter_map(|map| map.get("params"));
    let mut seen = BTreeSet::new();
    let files = params.flat_map(|params| params::data_files(&params));
    files.filter(|(path, ..)| seen.insert(path.clone())).collect()
}

fn words(field: &Field<'_>, diags: &mut Diags) -> Option<Vec<String>> {
    let words = field.texts(diags)?;
    if !words.iter().all(|word| names::is_process_text(word)) {
        diags.push(field.error("a NUL character cannot be passed to a process"));
    }
    Some(words)
}

fn env(field: &Field<'_>, diags: &mut Diags) -> Option<Vec<String>> {
    let mut list = Vec::new();
    for item in field.list(diags)? {
        let Some(entry) = item.text(diags) else { continue };
        let name = names::variable_name(entry);
        if !names::is_variable(name) {
            // Without `=` the text may be a value that lost its name: do not repeat it.
            let what = match entry.contains('=') {
                true => format!("`{}` is not a variable's name", shown(name)),
                false => "this is not a variable's name".to_owned(),
            };
            diags.push(item.error(what).help(
                "write NAME=value; a name has letters, digits, `_`, `-`, `.` and no digit first",
            ));
        }
        if crate::secret::is_bad_reference(entry) {
            diags.push(item.error("the value names no secret that could be").help(
                "a secret's name is 1 to 63 of a-z, 0-9, `-`, `_`, `.`: secret://db-password",
            ));
        }
        if !names::is_process_text(entry) {
            diags.push(item.error("a NUL character cannot be passed to a process"));
        }
        list.push(entry.to_owned());
    }
    Some(list)
}

fn dependencies(field: &Field<'_>, diags: &mut Diags) -> Vec<(Pos, String, String)> {
    let mut list = Vec::new();
    for item in field.list(diags).unwrap_or_default() {
        let Some(map) = item.map(&["service"], diags) else { continue };
        let help = "name the service that starts first: `- service: db`";
        let Some(field) = map.required("service", help, diags) else { continue };
        if let Some(name) = field.text(diags) {
            list.push((field.at(), field.path.clone(), name.to_owned()));
        }
    }
    list
}

fn credentials(field: &Field<'_>, diags: &mut Diags) -> Option<Credentials> {
    const SHORTEST_EMAIL: usize = 5;
    const SHORTEST_PASSWORD: usize = 6;
    let map = field.map(&["host", "email", "username", "password"], diags)?;
    let part = |key: &str, what: &str, diags: &mut Diags| {
        let value = map.required(key, what, diags)?;
        let text = value.text(diags)?;
        if text.trim().is_empty() {
            diags.push(value.error(format!("`{key}` is empty")).help(what));
        }
        Some(text.to_owned())
    };
    let host = part("host", "name the registry, such as ghcr.io", diags);
    let username = part("username", "name the account at the registry", diags);
    let password = part("password", "give the account's password or access token", diags);
    if let Some(text) = &password {
        if (1..SHORTEST_PASSWORD).contains(&text.chars().count()) {
            diags.push(credentials_warning(&map.get("password")?, "password", SHORTEST_PASSWORD));
        }
    }
    let email = map.get("email").and_then(|field| field.text(diags).map(|text| (field, text)));
    if let Some((field, text)) = &email {
        if text.chars().count() < SHORTEST_EMAIL {
            diags.push(credentials_warning(field, "email", SHORTEST_EMAIL));
        }
    }
    let email = email.map(|(_, text)| text.to_owned()).unwrap_or_default();
    Some(Credentials { host: host?, email, username: username?, password: password? })
}

fn credentials_warning(field: &Field<'_>, key: &str, shortest: usize) -> Diagnostic {
    field.warning(format!(
        "`{key}` is shorter than the {shortest} characters that the published SDL schema requires"
    ))
}

fn egress(field: &Field<'_>, diags: &mut Diags) -> Egress {
    match field.text(diags) {
        Some("public") => Egress::Public,
        Some("none") => Egress::None,
        Some(other) => {
            let message = format!("`{}` is not an egress rule", shown(other));
            diags.push(field.error(message).help("write public or none"));
            Egress::Public
        }
        None => Egress::Public,
    }
}
