package cuda

import "forja/kernels/cuda/driver"

// Cards lists the cards of this machine in CUDA's order, using none of them.
func Cards() ([]driver.Card, error) {
	resolve, err := driver.System()
	if err != nil {
		return nil, err
	}
	api, err := driver.Bind(resolve)
	if err != nil {
		return nil, err
	}
	return api.Cards()
}

// UUID identifies the card, as NVML and nvidia-smi print it.
func (b *Backend) UUID() string { return b.uuid }
