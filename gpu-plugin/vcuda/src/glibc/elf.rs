//! glibc's own functions of the dynamic linker, found in its table of symbols.
//!
//! This library exports functions of these names, so every reference to them ends here; and `dlsym`, which could tell them
//! apart, is one of them.

use std::ffi::{CStr, c_int, c_void};

/// An entry of `PT_DYNAMIC`, `Elf64_Dyn` (System V ABI, "Dynamic Section").
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: usize,
}

/// Tags of the System V ABI; the last is GNU's.
const DT_NULL: i64 = 0;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_SONAME: i64 = 14;
const DT_GNU_HASH: i64 = 0x6fff_fef5;

/// Where these functions are: in the second before glibc 2.34.
const NAMES: [&CStr; 2] = [c"libc.so.6", c"libdl.so.2"];

/// The tables of a loaded library, as addresses.
#[derive(Default)]
struct Tables {
    strings: usize,
    symbols: usize,
    hash: usize,
    name: Option<usize>,
}

struct Search<'a> {
    name: &'a CStr,
    found: *mut c_void,
}

/// Where glibc has the function; null where it has none.
pub(super) fn find_in_glibc(name: &CStr) -> *mut c_void {
    let mut search = Search { name, found: std::ptr::null_mut() };
    // SAFETY: the second argument reaches `search_library` as it is, and lives until this call ends.
    unsafe { libc::dl_iterate_phdr(Some(search_library), (&raw mut search).cast()) };
    search.found
}

/// Looks in one loaded library; 1 ends the search.
///
/// # Safety
///
/// Called by `dl_iterate_phdr` with a `Search`.
unsafe extern "C" fn search_library(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> c_int {
    // SAFETY: by this function's contract, and nobody else has either.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search<'_>>()) };
    // SAFETY: the linker tells how many there are, and keeps the library loaded during this call.
    let found =
        unsafe { tables(info).and_then(|tables| find(&tables, info.dlpi_addr as usize, search.name)) };
    search.found = found.unwrap_or(std::ptr::null_mut());
    c_int::from(found.is_some())
}

/// # Safety
///
/// What `dl_iterate_phdr` tells of a loaded library.
unsafe fn tables(info: &libc::dl_phdr_info) -> Option<Tables> {
    let base = info.dlpi_addr as usize;
    // SAFETY: by this function's contract.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
    let mut entry = (base + dynamic.p_vaddr as usize) as *const Dynamic;
    let mut tables = Tables::default();
    // glibc has made these absolute in memory, but for libraries whose dynamic section cannot be written, such as the vDSO.
    let absolute = |value: usize| if value < base { base + value } else { value };
    loop {
        // SAFETY: the section ends with DT_NULL, so the entry is within it.
        let Dynamic { tag, value } = unsafe { entry.read() };
        match tag {
            DT_NULL => break,
            DT_STRTAB => tables.strings = absolute(value),
            DT_SYMTAB => tables.symbols = absolute(value),
            DT_GNU_HASH => tables.hash = absolute(value),
            DT_SONAME => tables.name = Some(value),
            _ => {}
        }
        // SAFETY: this entry was not the last.
        entry = unsafe { entry.add(1) };
    }
    (tables.strings != 0 && tables.symbols != 0 && tables.hash != 0).then_some(tables)
}

/// Finds a function by the GNU hash table: a header of four numbers, a filter, a chain's first symbol by hash, and the chains.
///
/// # Safety
///
/// The tables of a loaded library.
unsafe fn find(tables: &Tables, base: usize, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: an offset in the library's own table of strings, all of which end with NUL.
    let string = |offset: usize| unsafe { CStr::from_ptr((tables.strings + offset) as *const _) };
    if !NAMES.contains(&string(tables.name?)) {
        return None;
    }
    let words = tables.hash as *const u32;
    // SAFETY: the layout above, by this function's contract.
    let (count, first, filter) = unsafe { (*words, *words.add(1), *words.add(2)) };
    // SAFETY: as above. A word of the filter is as long as an address: two numbers.
    let (buckets, hash) = (unsafe { words.add(4 + 2 * filter as usize) }, hash(name));
    if count == 0 {
        return None;
    }
    // SAFETY: as above.
    let (mut at, chains) = unsafe { (*buckets.add((hash % count) as usize), buckets.add(count as usize)) };
    while at >= first {
        // SAFETY: a bucket names a symbol from `first` on, and its chain goes on to the one whose lowest bit is set.
        let (chained, symbol) = unsafe {
            (
                *chains.add((at - first) as usize),
                &*(tables.symbols as *const libc::Elf64_Sym).add(at as usize),
            )
        };
        if chained | 1 == hash | 1 && symbol.st_shndx != 0 && string(symbol.st_name as usize) == name {
            return Some((base + symbol.st_value as usize) as *mut c_void);
        }
        if chained & 1 == 1 {
            break;
        }
        at += 1;
    }
    None
}

/// The hash of the GNU hash table.
fn hash(name: &CStr) -> u32 {
    name.to_bytes().iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_the_linker_are_found() {
        for name in [c"dlsym", c"dlvsym", c"dlopen", c"dlmopen"] {
            assert!(!find_in_glibc(name).is_null(), "{name:?}");
        }
        assert!(find_in_glibc(c"cuInit").is_null());
    }

    #[test]
    fn a_hash_is_gnu_s() {
        // printf: the example of the GNU hash table's description.
        assert_eq!(hash(c"printf"), 0x156b_2bb8);
    }
}
