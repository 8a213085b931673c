//! NVIDIA's error numbers (XIDs) and what each means for new work on the card.
//!
//! Names and actions are those of NVIDIA's catalog for Ampere and later,
//! <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>. The class follows its immediate action:
//! IGNORE and RESTART_APP are [`Class::Application`]; RESET_GPU, RESTART_BM and CHECK_MECHANICALS are [`Class::Fatal`]; any
//! other action, or none, is [`Class::Transient`]: then the probe decides, which also hears what reset the driver asks for.
//! Where a row departs from that, its reason stands beside it.

/// What an error means for new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A program's own doing, or only a notice: the card carries on.
    Application,
    /// The card may be well again by itself: it is probed until it is.
    Transient,
    /// The card works again only after a reset or a repair.
    Fatal,
}

use Class::{Application, Fatal, Transient};

/// By number.
const TABLE: &[(u32, &str, Class)] = &[
    (8, "GPU stopped processing", Application),
    (11, "Invalid or corrupted push buffer stream", Application),
    (13, "Graphics Engine Exception", Application),
    (14, "Fake or injected error from userspace", Application),
    (25, "Invalid or illegal push buffer stream", Application),
    (31, "GPU memory page fault", Application),
    (32, "Invalid or corrupted push buffer stream", Application),
    (37, "Driver firmware error", Application),
    (38, "Driver firmware error", Application),
    (39, "Copy Engine Exception", Application),
    (40, "Copy Engine Exception", Application),
    (41, "Copy Engine Exception", Application),
    (43, "GPU stopped processing", Application),
    (44, "Graphics Engine fault during context switch", Application),
    // Comes with every killed program. If a fault of the card was the cause, that has a number of its own.
    (45, "Preemptive cleanup, due to previous errors", Application),
    (46, "GPU stopped processing", Fatal),
    // "A GPU reset or node reboot is needed to clear this error."
    (48, "Double Bit ECC Error", Fatal),
    (54, "Auxiliary power is not connected to the GPU board", Fatal),
    (60, "Video processor exception", Application),
    (61, "Internal micro-controller breakpoint", Transient),
    (62, "Internal micro-controller halt", Fatal),
    (63, "GPU memory remapping event", Application),
    (64, "GPU memory remapping failure", Fatal),
    (66, "Illegal access by driver", Application),
    (67, "Illegal access by driver", Application),
    (68, "NVDEC0 Exception", Application),
    (69, "Graphics Engine class error", Application),
    (70, "CE3: Unknown Error", Application),
    (71, "CE4: Unknown Error", Application),
    (72, "CE5: Unknown Error", Application),
    // "May simply be because the link went down" at the other card; the probe hears whether this one needs a reset.
    (74, "NVLINK Error", Transient),
    (75, "CE6: Unknown Error", Application),
    (76, "CE7: Unknown Error", Application),
    (77, "CE8: Unknown Error", Application),
    (78, "vGPU Start Error", Transient),
    (79, "GPU has fallen off the bus", Fatal),
    (80, "Corrupted data sent to GPU", Application),
    (82, "NVJPG0 Error", Application),
    (83, "NVDEC1 Error", Application),
    (84, "NVDEC2 Error", Application),
    (85, "CE9: Unknown Error", Application),
    (86, "OFA Exception", Application),
    (88, "NVDEC3 Error", Application),
    (89, "NVDEC4 Error", Application),
    (92, "High single-bit ECC error rate", Application),
    (93, "Non-fatal violation of provisioned InfoROM wear limit", Application),
    (94, "Contained memory error", Application),
    (95, "Uncontained memory error", Fatal),
    (96, "NVDEC5 Error", Application),
    (97, "NVDEC6 Error", Application),
    (98, "NVDEC7 Error", Application),
    (99, "NVJPG1 Error", Application),
    (100, "NVJPG2 Error", Application),
    (101, "NVJPG3 Error", Application),
    (102, "NVJPG4 Error", Application),
    (103, "NVJPG5 Error", Application),
    (104, "NVJPG6 Error", Application),
    (105, "NVJPG7 Error", Application),
    (106, "SMBPBI Test Message", Application),
    (107, "SMBPBI Test Message Silent", Application),
    // The catalog says RESET_GPU, NVIDIA's own device plugin ignores it: a program that never yields causes it too. Where
    // the card does need a reset, XID 154 follows (driver R570 and later).
    (109, "Context Switch Timeout Error", Application),
    (110, "Security Fault Error", Fatal),
    (119, "GSP RPC Timeout", Fatal),
    (120, "GSP Error", Fatal),
    (121, "C2C Error", Application),
    (126, "CE10: Unknown Error", Application),
    (127, "CE11: Unknown Error", Application),
    (128, "CE12: Unknown Error", Application),
    (129, "CE13: Unknown Error", Application),
    (130, "CE14: Unknown Error", Application),
    (131, "CE15: Unknown Error", Application),
    (132, "CE16: Unknown Error", Application),
    (133, "CE17: Unknown Error", Application),
    (134, "CE18: Unknown Error", Application),
    (135, "CE19: Unknown Error", Application),
    (136, "Link Training Failed", Fatal),
    (137, "NVLink Privilege Error", Application),
    (139, "OFA1 Error", Application),
    (140, "ECC Unrecovered Error", Fatal),
    (141, "CUDA Fast Path Error", Application),
    (142, "NVENC3 Error", Transient),
    (143, "GPU Initialization Error", Fatal),
    (144, "NVLINK: SAW Error", Transient),
    (145, "NVLINK: RLW Error", Transient),
    (146, "NVLINK: TLW Error", Transient),
    (147, "NVLINK: TREX Error", Transient),
    (148, "NVLINK: NVLPW_CTRL Error", Transient),
    (149, "NVLINK: NETIR Error", Transient),
    (150, "NVLINK: MSE Error", Transient),
    (151, "Key rotation Error", Transient),
    (152, "DLA SMMU Error", Application),
    (153, "DLA timeout Error", Application),
    // Only says that another action is asked for, which may be none: the probe reads which.
    (154, "GPU Recovery Action Changed", Transient),
    // Links that go down on purpose raise it too.
    (155, "NVLINK: SW Defined Error", Transient),
    // A reset completes the repair; until then the probe says what the driver asks for.
    (156, "Resource Retirement Event", Transient),
    (157, "Resource Retirement Failure", Application),
    (158, "GPU Fatal Timeout", Fatal),
    (159, "CHI Non-Data Error", Transient),
    (160, "Channel Retirement Event", Application),
    (161, "Channel Retirement Failure", Application),
    // "No GPU reset required": 162 to 165 tell how power is smoothed, not whether the card works.
    (162, "Power Smoothing HW Circuitry capability reengaged", Application),
    (163, "Power Smoothing HW Circuitry capability disengaged", Application),
    (164, "Power Smoothing HW Circuitry low lifetime reached", Application),
    (165, "Power Smoothing HW Circuitry lifetime exhausted", Application),
    (166, "CC traffic seen prior to link properly being configured for encrypted traffic", Transient),
    (167, "PCIe Fatal Timeout", Transient),
    (168, "Errors found in WPR (write protected region)", Transient),
    (169, "Internal micro-controller halt", Transient),
    (170, "Interrupt seen in CC mode", Transient),
    (171, "Uncorrectable DRAM error, additional to XID 48", Transient),
    (172, "Uncorrectable SRAM error, additional to XID 48", Transient),
];

fn row(number: u32) -> Option<(&'static str, Class)> {
    let at = TABLE.binary_search_by_key(&number, |(number, ..)| *number).ok()?;
    TABLE.get(at).map(|(_, name, class)| (*name, *class))
}

/// NVIDIA's name of it.
pub fn name(number: u32) -> &'static str {
    row(number).map_or("not in NVIDIA's catalog", |(name, _)| name)
}

/// What it means. A number that is not known here keeps new work away until the card is found well, not for ever.
pub fn class(number: u32) -> Class {
    row(number).map_or(Transient, |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_so_that_every_row_is_found() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TABLE.iter().all(|(number, name, class)| row(*number) == Some((*name, *class))));
    }

    #[test]
    fn what_programs_do_is_not_held_against_the_card() {
        for number in [13, 31, 43, 45, 68, 109] {
            assert_eq!(class(number), Application, "{number}: NVIDIA's own plugin ignores it");
        }
        for number in [48, 62, 64, 79, 95, 119, 120, 140] {
            assert_eq!(class(number), Fatal, "{number}");
        }
        assert_eq!((class(0), class(9999)), (Transient, Transient));
    }
}
