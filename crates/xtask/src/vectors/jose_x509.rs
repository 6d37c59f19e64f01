pub(crate) fn generate(_: &mut super::oracle::Oracle) -> anyhow::Result<Vec<super::file::VectorFile>> { Ok(vec![]) }
