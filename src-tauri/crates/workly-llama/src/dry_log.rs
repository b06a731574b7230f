//! What llama.cpp's log says of sizes and places. Its words change between versions: a test holds them against a real
//! load.

use std::collections::BTreeMap;

/// What the log of a dry run says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DryLog {
    /// Layers the model has in all, the output layer counted as one.
    pub(crate) all_layers: u32,
    /// Bytes of compute buffers on the device.
    pub(crate) compute: u64,
    /// Bytes of KV cache, or what recurrent models keep in its place, of each layer on the device that has one.
    pub(crate) cache_by_layer: BTreeMap<u32, u64>,
    /// Tensors in the file that are not loaded.
    pub(crate) unused: Vec<String>,
}

/// Whether [`DryLog::read`] wants this line.
pub(crate) fn is_of_use(line: &str) -> bool {
    ["size = ", ": dev = ", "offloaded "].iter().any(|words| line.contains(words))
}

impl DryLog {
    /// Reads a log; `device`: the name of the device's buffers in it. `None` where it does not say how many layers
    /// there are.
    pub(crate) fn read(log: &str, device: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut layers: Vec<(u32, &str)> = Vec::new();
        for line in log.lines() {
            if let Some(layer) = layer_of_cache(line) {
                layers.push(layer);
            } else if let Some((_, rest)) = line.split_once(": size = ") {
                // A cache tells its layers, then its size; within one cache the layers are alike.
                let share = mib(rest)? / layers.len().max(1) as u64;
                for (layer, _) in layers.drain(..).filter(|(_, place)| *place == device) {
                    *found.cache_by_layer.entry(layer).or_default() += share;
                }
            } else if let Some(bytes) = buffer(line, device, "compute") {
                found.compute += bytes;
            } else if let Some((_, rest)) = line.split_once("unused tensor ") {
                found.unused.extend(rest.split(' ').next().map(str::to_owned));
            } else if let Some((_, rest)) = line.split_once("offloaded ") {
                found.all_layers = rest.split('/').nth(1)?.split(' ').next()?.parse().ok()?;
            }
        }
        (found.all_layers > 0).then_some(found)
    }
}

/// Bytes of a buffer of this kind on a device, where the line tells of one.
pub(crate) fn buffer(line: &str, device: &str, kind: &str) -> Option<u64> {
    let (before, size) = line.split_once(" buffer size = ")?;
    let name = before.strip_suffix(kind)?.split_whitespace().next_back()?;
    (name == device).then(|| mib(size)).flatten()
}

/// `…: layer   3: dev = Vulkan0`: the layer and its place.
fn layer_of_cache(line: &str) -> Option<(u32, &str)> {
    let (before, place) = line.split_once(": dev = ")?;
    let (_, number) = before.rsplit_once("layer ")?;
    Some((number.trim().parse().ok()?, place.trim()))
}

/// A size in MiB at the start of a text, in bytes.
fn mib(text: &str) -> Option<u64> {
    let size: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some((size * f64::from(1 << 20)).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
model has unused tensor blk.4.nextn.eh_proj.weight (size = 1000 bytes) -- ignoring
load_tensors: offloaded 4/4 layers to GPU
load_tensors:      Vulkan0 model buffer size =     0.00 MiB
llama_kv_cache: layer   0: dev = Vulkan0
llama_kv_cache: layer   2: dev = Vulkan0
llama_kv_cache:    Vulkan0 KV buffer size =     0.00 MiB
llama_kv_cache: size =    8.00 MiB (  4096 cells,   2 layers,  1/1 seqs), K (f16):    4.00 MiB, V (f16):    4.00 MiB
llama_kv_cache: layer   1: dev = Vulkan0
llama_kv_cache: size =    1.50 MiB (   512 cells,   1 layers,  1/1 seqs), K (f16):    0.75 MiB, V (f16):    0.75 MiB
sched_reserve:    Vulkan0 compute buffer size =    96.25 MiB
sched_reserve: Vulkan_Host compute buffer size =     9.00 MiB
";

    #[test]
    fn sizes_are_told_apart_by_device_and_cache() {
        let read = DryLog::read(LOG, "Vulkan0").unwrap();
        assert_eq!(read.all_layers, 4);
        assert_eq!(read.compute, 96 * (1 << 20) + (1 << 18));
        assert_eq!(read.cache_by_layer, [(0, 4 << 20), (1, 3 << 19), (2, 4 << 20)].into());
        assert_eq!(read.unused, ["blk.4.nextn.eh_proj.weight"]);
        assert!(LOG.lines().all(is_of_use));
    }

    #[test]
    fn what_lies_elsewhere_is_not_counted_and_a_silent_log_is_no_answer() {
        let elsewhere = DryLog::read(LOG, "CUDA0").unwrap();
        assert_eq!((elsewhere.compute, elsewhere.cache_by_layer), (0, BTreeMap::new()));
        assert_eq!(DryLog::read("nothing", "Vulkan0"), None);
        assert_eq!(buffer("x: Vulkan0 KV buffer size = 2.00 MiB", "Vulkan0", "KV"), Some(2 << 20));
    }
}
