//! How much processor time the control group of this process grants.

use std::fs;
use std::path::{Path, PathBuf};

/// How many CPUs' worth of time the control group of this process grants (the smallest grant on the way to the root), versions 1
/// and 2. `None` where there is no limit or no control group.
pub(super) fn cgroup_cpus(mount: &Path, membership: &Path) -> Option<f64> {
    let membership = fs::read_to_string(membership).ok()?;
    let mut grants = Vec::new();
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if hierarchy == "0" && controllers.is_empty() {
            grants.extend(ancestors(mount, path).filter_map(|dir| quota_v2(&dir)));
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            for name in ["cpu", controllers] {
                grants.extend(ancestors(&mount.join(name), path).filter_map(|dir| quota_v1(&dir)));
            }
        }
    }
    grants.into_iter().min_by(f64::total_cmp)
}

/// A control group's directory and those above it, up to the mount. In a container without a namespace of its own the path names
/// directories that are not mounted; the mount itself is then the container's.
fn ancestors<'a>(mount: &'a Path, path: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    Path::new(path).ancestors().map(|path| match path.strip_prefix("/") {
        Ok(relative) => mount.join(relative),
        Err(_) => mount.to_owned(),
    })
}

fn quota_v2(dir: &Path) -> Option<f64> {
    let text = fs::read_to_string(dir.join("cpu.max")).ok()?;
    let mut fields = text.split_whitespace();
    grant(fields.next()?, fields.next()?)
}

fn quota_v1(dir: &Path) -> Option<f64> {
    let quota = fs::read_to_string(dir.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(dir.join("cpu.cfs_period_us")).ok()?;
    grant(quota.trim(), period.trim())
}

/// `None` for `max` and `-1`, which mean no limit.
fn grant(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_both_versions_are_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let read = || cgroup_cpus(root.path(), &root.path().join("membership"));
        assert_eq!(read(), None, "no control groups");

        write("membership", "0::/a/b\n");
        write("a/b/cpu.max", "max 100000\n");
        assert_eq!(read(), None, "no limit");
        write("a/cpu.max", "200000 100000\n");
        assert_eq!(read(), Some(2.0), "the limit of a parent counts");

        write("membership", "7:cpu,cpuacct:/docker/x\n0::/\n");
        write("cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
        write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(), Some(1.5), "inside a container the mount is the container's group");
        write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
        write("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(), Some(1.5));
    }
}
