package sim

// result is a CUresult.
type result uintptr

const (
	success            result = 0
	invalidValue       result = 1
	outOfMemory        result = 2
	notInitialized     result = 3
	deinitialized      result = 4
	invalidDevice      result = 101
	invalidContext     result = 201
	invalidPTX         result = 218
	unsupportedPTX     result = 222
	invalidHandle      result = 400
	illegalState       result = 401
	notFound           result = 500
	notReady           result = 600
	illegalAddress     result = 700
	notSupported       result = 801
	captureUnsupported result = 900
	captureInvalidated result = 901
	capturedEvent      result = 907
	invalidCluster     result = 912
	unknown            result = 999
)

// texts are the name in cuda.h and the meaning of each result.
var texts = map[result][2]string{
	success:            {"CUDA_SUCCESS", "no error"},
	invalidValue:       {"CUDA_ERROR_INVALID_VALUE", "invalid argument"},
	outOfMemory:        {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
	notInitialized:     {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
	deinitialized:      {"CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
	invalidDevice:      {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
	invalidContext:     {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
	invalidPTX:         {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
	unsupportedPTX:     {"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
	invalidHandle:      {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
	illegalState:       {"CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
	notFound:           {"CUDA_ERROR_NOT_FOUND", "named symbol not found"},
	notReady:           {"CUDA_ERROR_NOT_READY", "device not ready"},
	illegalAddress:     {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
	notSupported:       {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
	captureUnsupported: {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
	captureInvalidated: {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
	capturedEvent:      {"CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
	invalidCluster:     {"CUDA_ERROR_INVALID_CLUSTER_SIZE", "cluster misconfiguration"},
	unknown:            {"CUDA_ERROR_UNKNOWN", "unknown error"},
}

// getErrorName and getErrorString give out text that lives as long as the process.
func (s *slot) getErrorName(r uintptr, out **byte) uintptr   { return s.errorText(r, out, 0) }
func (s *slot) getErrorString(r uintptr, out **byte) uintptr { return s.errorText(r, out, 1) }

func (s *slot) errorText(r uintptr, out **byte, which int) uintptr {
	t, ok := texts[result(r)]
	if out == nil || !ok {
		return uintptr(invalidValue)
	}
	text := t[which]
	if m := s.machine.Load(); m != nil && which == 1 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.code == result(r) && m.detail != "" {
			text += ": " + m.detail
		}
		*out = m.cString(text)
		return 0
	}
	*out = cString(text)
	return 0
}
