//! The link containers' image: one static program that sleeps for ever. It
//! is made here byte by byte, for a provider's machine has neither a
//! compiler nor a registry at hand, and 129 bytes hold nothing to attack.

use std::io::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::archive::host_architecture;
use super::RuntimeError;

/// Where the program lies in the image.
pub(crate) const PAUSE_PATH: &str = "/pause";

const LOAD_ADDRESS: u64 = 0x40_0000;
const ELF_HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;

/// x86-64:
/// ```text
/// start: mov eax, 34      ; pause(2)
///        syscall
///        jmp start
/// ```
const CODE_X86_64: &[u8] = &[0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7];
const MACHINE_X86_64: u16 = 62;

/// AArch64 has no pause(2); ppoll(2) without descriptors and timeout is the
/// same:
/// ```text
/// start: mov x0, #0
///        mov x1, #0
///        mov x2, #0
///        mov x3, #0
///        mov x4, #0
///        mov x8, #73      // ppoll
///        svc #0
///        b start
/// ```
const CODE_AARCH64: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2,
    0x04, 0x00, 0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xf9, 0xff, 0xff, 0x17,
];
const MACHINE_AARCH64: u16 = 183;

/// The image as a docker-archive under the given name.
pub(crate) fn link_image_archive(tag: &str) -> Result<Vec<u8>, RuntimeError> {
    let program = pause_program()?;
    let layer = tar_of(&[(PAUSE_PATH.trim_start_matches('/'), 0o755, &program)])?;
    let config = json!({
        "architecture": host_architecture(),
        "os": "linux",
        "config": { "Entrypoint": [PAUSE_PATH] },
        "rootfs": {
            "type": "layers",
            "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))],
        },
    })
    .to_string();
    let config_name = format!("{}.json", hex::encode(Sha256::digest(config.as_bytes())));
    let manifest =
        json!([{ "Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"] }]).to_string();
    tar_of(&[
        (&config_name, 0o644, config.as_bytes()),
        ("layer.tar", 0o644, &layer),
        ("manifest.json", 0o644, manifest.as_bytes()),
    ])
}

fn pause_program() -> Result<Vec<u8>, RuntimeError> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(elf(MACHINE_X86_64, CODE_X86_64)),
        "aarch64" => Ok(elf(MACHINE_AARCH64, CODE_AARCH64)),
        other => Err(RuntimeError::Setup(format!(
            "no link container for {other}: providers run on x86_64 and aarch64"
        ))),
    }
}

/// The smallest ELF file the kernel loads: header, one program header that
/// maps the whole file readable and executable, code.
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let headers = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
    let size = headers + code.len() as u64;
    let mut file = Vec::with_capacity(size as usize);
    // 64 bit, little endian, version 1, System V.
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    push16(&mut file, &[2, machine]); // an executable
    push32(&mut file, &[1]); // version
    push64(&mut file, &[LOAD_ADDRESS + headers, ELF_HEADER_BYTES, 0]); // entry, headers, sections
    push32(&mut file, &[0]); // flags
    push16(&mut file, &[ELF_HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, 1, 0, 0, 0]);
    push32(&mut file, &[1, 5]); // load; readable and executable
                                // Offset, virtual and physical address, size in file and memory, alignment.
    push64(&mut file, &[0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 0x1_0000]);
    file.extend_from_slice(code);
    file
}

fn push16(file: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
}

fn push32(file: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
}

fn push64(file: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
}

fn tar_of(files: &[(&str, u32, &[u8])]) -> Result<Vec<u8>, RuntimeError> {
    let failed = |e: std::io::Error| RuntimeError::Archive(format!("link image: {e}"));
    let mut archive = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        archive.append_data(&mut header, name, *content).map_err(failed)?;
    }
    let mut bytes = archive.into_inner().map_err(failed)?;
    bytes.flush().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    #[test]
    fn the_program_runs_here_and_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        std::fs::write(&path, pause_program().unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&path).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none(), "pause must not end by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn both_architectures_make_small_files() {
        assert_eq!(elf(MACHINE_X86_64, CODE_X86_64).len(), 129);
        assert_eq!(elf(MACHINE_AARCH64, CODE_AARCH64).len(), 152);
    }
}
