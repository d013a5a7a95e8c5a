package driver

import (
	"errors"
	"fmt"
)

// Result is a CUresult. It is an error, so that errors.Is finds it in what this package returns.
type Result int32

// Results that are told apart by code.
const (
	Success               Result = 0
	InvalidValue          Result = 1
	OutOfMemory           Result = 2
	NotInitialized        Result = 3
	Deinitialized         Result = 4
	StubLibrary           Result = 34
	DeviceUnavailable     Result = 46
	NoDevice              Result = 100
	InvalidDevice         Result = 101
	InvalidImage          Result = 200
	InvalidContext        Result = 201
	NoBinaryForGPU        Result = 209
	InvalidPTX            Result = 218
	UnsupportedPTXVersion Result = 222
	InvalidHandle         Result = 400
	NotFound              Result = 500
	NotReady              Result = 600
	IllegalAddress        Result = 700
	LaunchOutOfResources  Result = 701
	LaunchTimeout         Result = 702
	ContextIsDestroyed    Result = 709
	LaunchFailed          Result = 719
	NotSupported          Result = 801
	SystemNotReady        Result = 802
	SystemDriverMismatch  Result = 803
	CaptureUnsupported    Result = 900
	CaptureInvalidated    Result = 901
	CaptureUnmatched      Result = 903
	InvalidClusterSize    Result = 912
	Unknown               Result = 999
)

func (r Result) Error() string { return fmt.Sprintf("CUDA error %d", int32(r)) }

// An Error is a call of the driver that failed.
type Error struct {
	Call string // the function
	Code Result
	Name string // of the code, as in cuda.h
	Text string // what the driver says
	Log  string // what its compiler says, for a module
}

func (e *Error) Error() string {
	text := e.Text
	if text == "" {
		text = "an error without a text"
	}
	s := fmt.Sprintf("%s: %s (%s, %d)", e.Call, text, e.Name, int32(e.Code))
	if e.Log != "" {
		s += ": " + e.Log
	}
	if a := advice[e.Code]; a != "" {
		s += ": " + a
	}
	return s
}

// Is reports whether target is the error's Result.
func (e *Error) Is(target error) bool {
	r, ok := target.(Result)
	return ok && r == e.Code
}

// Lost is the code of an error that a context does not survive, such as that of a kernel that accessed memory it should
// not: every later call repeats it. It is Success for other errors.
func Lost(err error) Result {
	var e *Error
	if errors.As(err, &e) && e.Code >= IllegalAddress && e.Code < 800 {
		return e.Code
	}
	return Success
}

// advice says what to do about errors that are a machine's or a caller's, not a kernel's.
var advice = map[Result]string{
	StubLibrary:           "the library found is the toolkit's stub: install the NVIDIA driver, or put its libcuda.so.1 first",
	DeviceUnavailable:     "another process holds the device in exclusive mode: nvidia-smi shows which",
	NoDevice:              "no device is visible: see nvidia-smi and CUDA_VISIBLE_DEVICES",
	InvalidContext:        "no context is current on this thread: call the device only from its own thread, inside Device.Do",
	UnsupportedPTXVersion: "the driver is older than the kernels: install one for CUDA 11.8 or later, 12.0 or later for Hopper",
	SystemNotReady:        "the fabric manager does not run: start nvidia-fabricmanager",
	SystemDriverMismatch:  "the driver's library and its kernel module have different versions: reboot",
	Unknown:               "the nvidia_uvm module may not be loaded: run nvidia-modprobe -u, or see the system log",
}
