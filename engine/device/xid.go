package device

import "slices"

// What an Xid asks for, after NVIDIA's Xid catalogue and the lists of DCGM and the Kubernetes device plugin.
// An Xid on no list is reported and warns.
var (
	xidProgram = []int{13, 31, 43, 45, 68, 94}                                              // the program's own doing
	xidReset   = []int{46, 48, 62, 64, 74, 95, 109, 110, 119, 120, 136, 140, 143, 156, 158} // the card needs a reset
	xidReboot  = []int{79}                                                                  // fell off the bus
)

// xidText names the ones that people meet.
var xidText = map[int]string{
	13: "graphics engine exception", 31: "memory page fault", 32: "corrupted push buffer", 38: "driver firmware error",
	43: "stopped processing", 45: "work was removed", 46: "stopped processing", 48: "double-bit ECC error",
	61: "internal microcontroller breakpoint", 62: "internal microcontroller halt", 63: "row remapping event",
	64: "row remapping failure", 68: "video processor exception", 69: "graphics engine class error", 74: "NVLink error",
	79: "fell off the bus", 92: "many single-bit ECC errors", 94: "contained ECC error", 95: "uncontained ECC error",
	109: "context switch timeout", 110: "security fault", 119: "GSP does not answer", 120: "GSP error",
	140: "unrecovered ECC error", 143: "GPU initialisation failure",
}

// xidVerdict says what one Xid means for the card.
func xidVerdict(xid int) (Verdict, string) {
	name := xidText[xid]
	if name != "" {
		name = " (" + name + ")"
	}
	switch {
	case slices.Contains(xidProgram, xid):
		return OK, "" // the next program may do better
	case slices.Contains(xidReset, xid):
		return Refuse, name + ": reset it (nvidia-smi --gpu-reset), or reboot"
	case slices.Contains(xidReboot, xid):
		return Refuse, name + ": reboot; if it returns, reseat or replace the card"
	}
	return Warn, name
}
