//! Mount options, taken from a StorageClass's `mountOptions`.

use eck_csi::field::BadField;

/// Options that would do something else than mount this volume here.
const REFUSED: [&str; 11] =
    ["bind", "rbind", "move", "remount", "loop", "shared", "slave", "private", "unbindable", "mand", "user"];

/// Options that mean something to mount(8) only, never to the kernel: taken and dropped.
const FOR_MOUNT_8: [&str; 6] = ["defaults", "auto", "noauto", "nofail", "_netdev", "nouser"];

/// Options whose value is an SELinux label (mount(8)).
const LABELS: [&str; 4] = ["context=", "fscontext=", "defcontext=", "rootcontext="];

/// Takes the flags, each one option or several joined by commas.
pub(crate) fn parse(field: &str, flags: Vec<String>) -> Result<Vec<String>, BadField> {
    let mut options = Vec::new();
    for flag in &flags {
        // An SELinux label has commas of its own, inside quotes that the kernel wants to see.
        let label = LABELS.iter().any(|name| flag.starts_with(name));
        let parts: Vec<&str> = if label { vec![flag] } else { flag.split(',').map(str::trim).collect() };
        for option in parts.into_iter().filter(|o| !o.is_empty()) {
            let name = option.split('=').next().unwrap_or(option);
            if REFUSED.contains(&name) || !(if label { is_label(option) } else { plain(option) }) {
                let allowed = "options of this volume's own mount, such as noatime, discard or data=journal";
                return Err(BadField::new(field, option, allowed));
            }
            let dropped = FOR_MOUNT_8.contains(&name) || name.starts_with("x-");
            if !dropped && !options.iter().any(|o| o == option) {
                options.push(option.to_owned());
            }
        }
    }
    Ok(options)
}

fn plain(option: &str) -> bool {
    !option.contains(['"', '\\', '/'])
}

/// Whether a label is one: nothing follows its quotes, and without quotes there is no comma, behind which another option could hide.
fn is_label(option: &str) -> bool {
    let value = option.split_once('=').map_or("", |(_, value)| value);
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').is_some_and(|inside| !inside.contains(['"', '\\'])),
        None => plain(value) && !value.contains(','),
    }
}

/// Whether the options end up read-only: the last word counts.
pub(crate) fn read_only(options: &[String]) -> bool {
    options.iter().rev().find(|o| *o == "ro" || *o == "rw").is_some_and(|o| o == "ro")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_and_those_that_do_something_else_are_refused() {
        let taken =
            parse("f", vec!["noatime,discard".into(), "noatime".into(), "nofail".into(), "ro".into()]);
        let taken = taken.unwrap();
        assert_eq!(taken, ["noatime", "discard", "ro"]);
        assert!(read_only(&taken) && !read_only(&["ro".into(), "rw".into()]));
        let label = "context=\"system_u:object_r:container_file_t:s0:c1,c2\"";
        assert_eq!(parse("f", vec![label.into()]).unwrap(), [label]);
        for bad in ["bind", "remount,rw", "loop=/dev/loop0", "journal_path=/dev/sda"] {
            for label in ["context=a,", "context=\"a\",", "context=\"a\"b\",", "fscontext=\"a,"] {
                let hidden = format!("{label}{bad}");
                assert!(parse("f", vec![hidden.clone()]).is_err(), "{hidden}");
            }
            assert!(parse("f", vec![bad.into()]).is_err(), "{bad}");
        }
    }
}
