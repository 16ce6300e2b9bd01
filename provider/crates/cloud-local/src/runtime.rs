//! The cache that all machines share, put in place, and the tiny model in it that needs no download.

use crate::error::StateError;
use machine::files;
use machine::shared_cache::{models, runtime};
use std::{fs, path::Path};

/// The embedded model's name.
const TINY_MODEL: &str = "disagg/tiny";

/// A tokenizer and a configuration without weights: all that Dynamo's mocker needs.
const TINY_MODEL_FILES: [(&str, &[u8]); 4] = [
    ("config.json", include_bytes!("../tiny-model/config.json")),
    ("generation_config.json", include_bytes!("../tiny-model/generation_config.json")),
    ("tokenizer.json", include_bytes!("../tiny-model/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../tiny-model/tokenizer_config.json")),
];

/// Puts the cache's directories in place, with the tiny model in it.
pub(crate) fn prepare(cache_directory: &Path) -> Result<(), StateError> {
    for directory in [runtime(cache_directory), models(cache_directory)] {
        fs::create_dir_all(&directory).map_err(StateError::io("make", &directory))?;
    }
    let model = models(cache_directory).join(TINY_MODEL);
    if is_complete(&model) {
        return Ok(());
    }
    let new = model.with_file_name(format!(".tiny.{}", std::process::id()));
    files::remove_directory(&new)?;
    let failed = StateError::io("write the tiny model to", &new);
    let written = (|| {
        fs::create_dir_all(&new)?;
        for (name, bytes) in TINY_MODEL_FILES {
            fs::write(new.join(name), bytes)?;
        }
        Ok(())
    })();
    written.map_err(failed)?;
    // An older provider's model, or one that was damaged.
    files::remove_directory(&model)?;
    match fs::rename(&new, &model) {
        // Another process was faster.
        Err(_) if is_complete(&model) => Ok(files::remove_directory(&new)?),
        renamed => renamed.map_err(StateError::io("write", &model)),
    }
}

fn is_complete(model: &Path) -> bool {
    TINY_MODEL_FILES.iter().all(|(name, bytes)| {
        fs::metadata(model.join(name)).is_ok_and(|meta| meta.len() == bytes.len() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_made_once_and_mended() {
        let cache = tempfile::tempdir().unwrap();
        let tokenizer = cache.path().join("models/disagg/tiny/tokenizer.json");
        for _ in 0..2 {
            prepare(cache.path()).unwrap();
            assert!(
                serde_json::from_slice::<serde_json::Value>(&fs::read(&tokenizer).unwrap()).is_ok()
            );
            fs::write(&tokenizer, "damaged").unwrap();
        }
        prepare(cache.path()).unwrap();
        assert!(fs::metadata(&tokenizer).unwrap().len() > 100_000);
        assert_eq!(fs::read_dir(cache.path().join("models/disagg")).unwrap().count(), 1);
    }
}
