//! Compiles our `.proto` files with protox: no protoc is needed, nothing generated is kept in the tree.

use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The option that marks a field as secret (CSI spec, csi.proto: `csi_secret`).
const CSI_SECRET: u64 = 1059;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["csi.proto", "pluginregistration.proto", "deviceplugin.proto", "podresources.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(false);
    for file in files {
        compiler.open_file(file)?;
    }
    let raw = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), &raw)?;

    let secret = secret_messages(&raw)?;
    std::fs::write(out.join("secret_messages.txt"), secret.join("\n"))?;
    let builder = tonic_prost_build::configure().skip_debug(&secret);
    builder.compile_fds(FileDescriptorSet::decode(raw.as_slice())?)?;
    Ok(())
}

/// Names of the messages that hold a secret field: they get no `Debug`, so that logging one does not compile.
fn secret_messages(raw: &[u8]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let pool = prost_reflect::DescriptorPool::decode(raw)?;
    let option = u32::try_from(CSI_SECRET)?;
    let secret = |field: prost_reflect::FieldDescriptor| {
        let extensions: Vec<u32> = field.options().extensions().map(|(e, _)| e.number()).collect();
        extensions.contains(&option)
    };
    let holds = |message: &prost_reflect::MessageDescriptor| message.fields().any(secret);
    Ok(pool.all_messages().filter(holds).map(|m| m.full_name().to_owned()).collect())
}
