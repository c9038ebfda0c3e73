"""Batch renormalization (Ioffe 2017, algorithm 1) on torch tensors: r and d pass no gradient.
Independent of the C code. Arrays are (n, s, c); statistics are per channel."""
EPS = 1e-5


class Renorm:
    def __init__(self, channels, alpha, zeros, ones):
        self.alpha = alpha
        self.mu = zeros(channels)
        self.sigma = ones(channels)

    def train(self, x, gamma, beta, r_max, d_max):
        mu_b = x.mean((0, 1))
        sigma_b = (EPS + ((x - mu_b) ** 2).mean((0, 1))) ** 0.5
        r = (sigma_b / self.sigma).clamp(1 / r_max, r_max).detach()
        d = ((mu_b - self.mu) / self.sigma).clamp(-d_max, d_max).detach()
        y = gamma * ((x - mu_b) / sigma_b * r + d) + beta
        self.mu = self.mu + self.alpha * (mu_b.detach() - self.mu)
        self.sigma = self.sigma + self.alpha * (sigma_b.detach() - self.sigma)
        return y, r, d

    def evaluate(self, x, gamma, beta):
        return gamma * (x - self.mu) / self.sigma + beta
