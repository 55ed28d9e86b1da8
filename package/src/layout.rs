//! One image as an OCI image layout on disk.

use crate::digest;
use anyhow::{Context, Result};
use oci_spec::image::{
    Descriptor, DescriptorBuilder, Digest, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder, SCHEMA_VERSION,
};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

pub struct Blob {
    media_type: MediaType,
    bytes: Vec<u8>,
}

impl Blob {
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: MediaType::from(media_type), bytes }
    }

    fn write(&self, folder: &Path) -> Result<Descriptor> {
        let digest = digest(&self.bytes);
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), &self.bytes)?;
        Ok(DescriptorBuilder::default()
            .media_type(self.media_type.clone())
            .digest(digest.parse::<Digest>()?)
            .size(self.bytes.len() as u64)
            .build()?)
    }
}

pub struct Image {
    pub config: Blob,
    pub layers: Vec<Blob>,
    pub annotations: BTreeMap<String, String>,
}

impl Image {
    /// Writes the layout; the digest of its manifest.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path, tag: &str) -> Result<String> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let layers: Result<Vec<Descriptor>> = self.layers.iter().map(|l| l.write(folder)).collect();
        let annotations: HashMap<String, String> = self.annotations.clone().into_iter().collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(self.config.write(folder)?)
            .layers(layers?)
            .annotations(annotations)
            .build()?;
        // By way of a value, whose keys are in order: a map's are not.
        let manifest = serde_json::to_value(&manifest)?.to_string();
        let manifest = Blob { media_type: MediaType::ImageManifest, bytes: manifest.into_bytes() };
        let mut descriptor = manifest.write(folder)?;
        let tagged = [("org.opencontainers.image.ref.name".to_owned(), tag.to_owned())];
        descriptor.set_annotations(Some(tagged.into()));
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![descriptor])
            .build()?;
        fs::write(folder.join("index.json"), serde_json::to_value(&index)?.to_string())?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
        fs::write(folder.join("oci-layout"), serde_json::to_string(&layout)?)?;
        Ok(digest(&manifest.bytes))
    }
}
