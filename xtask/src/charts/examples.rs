//! The examples say what the user guide's say.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::helm::Helm;
use crate::error::Error;
use crate::files::{entries, read};
use crate::tally::Tally;

const ROWS: &str = include_str!("examples.toml");

/// The tests' own, which is in every cluster of them.
const IMAGE: &str = "image: localhost/eck/nginx:1";

#[derive(Deserialize)]
struct Rows {
    examples: Vec<Row>,
}

/// What an object of an example says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// In deploy/examples.
    file: String,
    /// Its number in the file.
    object: usize,
    /// Values by their JSON pointers.
    says: BTreeMap<String, Value>,
    /// JSON pointers of what it does not say.
    #[serde(default)]
    lacks: Vec<String>,
}

pub(super) fn check(tally: &mut Tally, helm: &Helm, root: &Path) -> Result<(), Error> {
    let folder = root.join("deploy/examples");
    let rows = rows()?;
    for row in &rows {
        let name = format!("examples/{}: object {} is the guide's", row.file, row.object);
        tally.check(&name, row.wrong(helm, &folder));
    }
    tally.check("every example has a row and runs the test image", complete(&folder, &rows));
    Ok(())
}

fn rows() -> Result<Vec<Row>, Error> {
    let rows: Result<Rows, _> = toml::from_str(ROWS);
    rows.map(|rows| rows.examples)
        .map_err(|error| Error::Unreadable("examples.toml".into(), error.to_string()))
}

impl Row {
    fn wrong(&self, helm: &Helm, folder: &Path) -> Result<Vec<String>, Error> {
        let text = read(&folder.join(&self.file))?;
        let mut found = nameless(&helm.names(&text)?);
        found.extend(self.differences(&helm.objects(&text)?));
        Ok(found)
    }

    fn differences(&self, objects: &[Value]) -> Vec<String> {
        let Some(object) = objects.get(self.object) else {
            return vec!["there is no such object".to_owned()];
        };
        let said = |pointer: &str| object.pointer(pointer).filter(|value| !value.is_null());
        let other = self.says.iter().filter(|(pointer, value)| said(pointer) != Some(value));
        let other = other.map(|(pointer, value)| {
            let said = said(pointer).map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{pointer} says {said}, the guide {value}")
        });
        let more = self.lacks.iter().filter_map(|pointer| Some((pointer, said(pointer)?)));
        other
            .chain(more.map(|(pointer, value)| format!("{pointer} says {value}, the guide nothing")))
            .collect()
    }
}

/// What is no name of an object, which is `KIND/NAME`.
fn nameless(names: &str) -> Vec<String> {
    names.lines().filter(|line| !line.contains('/')).map(str::to_owned).collect()
}

/// Examples without a row, and images that no cluster of the tests has.
fn complete(folder: &Path, rows: &[Row]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for file in entries(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if rows.iter().all(|row| row.file != name) {
            found.push(format!("{name} has no row"));
        }
        let text = read(&file)?;
        let images = text.lines().filter(|line| line.contains("image:") && !line.ends_with(IMAGE));
        found.extend(images.map(|line| format!("{name}: {}", line.trim())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        let says =
            BTreeMap::from([("/kind".to_owned(), json!("Pod")), ("/spec/replicas".to_owned(), json!(2))]);
        Row { file: "a.yaml".to_owned(), object: 0, says, lacks: vec!["/spec/volumeName".to_owned()] }
    }

    #[test]
    fn an_object_that_says_what_the_guide_says_passes() {
        let object = json!({"kind": "Pod", "spec": {"replicas": 2, "volumeName": null}});
        assert_eq!(row().differences(&[object]), [""; 0]);
    }

    #[test]
    fn an_object_that_says_something_else_is_found() {
        let object = json!({"kind": "Pod", "spec": {"replicas": "2", "volumeName": "a"}});
        let found = row().differences(&[object]);
        let expected =
            ["/spec/replicas says \"2\", the guide 2", "/spec/volumeName says \"a\", the guide nothing"];
        assert_eq!(found, expected);
        assert_eq!(row().differences(&[]), ["there is no such object"]);
    }

    #[test]
    fn what_kubectl_has_no_name_for_is_found() {
        assert_eq!(nameless("pod/a\nerror: no kind\n"), ["error: no kind"]);
    }

    #[test]
    fn an_example_without_a_row_and_one_with_another_image_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "image: nginx\n").unwrap();
        std::fs::write(folder.path().join("b.yaml"), "image: localhost/eck/nginx:1\n").unwrap();
        let found = complete(folder.path(), &[row()]).unwrap();
        assert_eq!(found, ["a.yaml: image: nginx", "b.yaml has no row"]);
    }

    #[test]
    fn every_row_says_something() {
        assert!(rows().unwrap().iter().all(|row| !row.says.is_empty()));
    }
}
