//go:build !linux || (nocuda && (!cgo || nonvml))

package device

// Open always returns an [AbsentError] in this build.
func Open() (Monitor, error) {
	return nil, &AbsentError{"this build of forja has no NVML (it is for Linux, without the tag nocuda)"}
}
