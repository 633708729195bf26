//! The calculation that settles the demo's question, really carried out.

/// Speed of light in km/s.
const LIGHT_SPEED: f64 = 299_792.458;

/// Rest wavelength of Lyman-alpha in nm, the line a quasar's spectrum peaks at.
pub const LYMAN_ALPHA_NM: f64 = 121.567;

/// A flat universe: Hubble's constant in km/s/Mpc, shares of matter and of dark energy.
#[derive(Clone, Copy, Debug)]
pub struct Cosmology {
    pub hubble: f64,
    pub matter: f64,
    pub dark_energy: f64,
}

impl Cosmology {
    /// Returns the line-of-sight comoving distance in Gpc: c/H₀ · ∫₀ᶻ dz′/E(z′).
    pub fn comoving_distance_gpc(&self, redshift: f64) -> f64 {
        self.hubble_distance_gpc() * self.comoving_integral(redshift)
    }

    /// Returns c/H₀ in Gpc.
    pub fn hubble_distance_gpc(&self) -> f64 {
        LIGHT_SPEED / self.hubble / 1_000.0
    }

    /// Returns ∫₀ᶻ dz′/E(z′).
    pub fn comoving_integral(&self, redshift: f64) -> f64 {
        simpson(|z| 1.0 / self.expansion(z), redshift)
    }

    /// E(z) = H(z)/H₀.
    fn expansion(&self, z: f64) -> f64 {
        (self.matter * (1.0 + z).powi(3) + self.dark_energy).sqrt()
    }
}

/// Returns the redshift of a line seen at `observed_nm`.
pub fn redshift(observed_nm: f64, rest_nm: f64) -> f64 {
    observed_nm / rest_nm - 1.0
}

/// Integrates from 0 to `end` by Simpson's rule.
fn simpson(f: impl Fn(f64) -> f64, end: f64) -> f64 {
    // The integrand is smooth; 1,000 halves leave an error far below a parsec.
    const HALVES: u32 = 1_000;
    let step = end / f64::from(2 * HALVES);
    let inner = (1..2 * HALVES).map(|n| {
        let weight = if n % 2 == 1 { 4.0 } else { 2.0 };
        weight * f(f64::from(n) * step)
    });
    (f(0.0) + inner.sum::<f64>() + f(end)) * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Cosmology = Cosmology { hubble: 70.0, matter: 0.3, dark_energy: 0.7 };

    #[test]
    fn universes_of_one_thing_have_a_distance_in_closed_form() {
        // Matter alone: D = 2c/H₀ · (1 − 1/√(1+z)).
        let matter = Cosmology { hubble: 70.0, matter: 1.0, dark_energy: 0.0 };
        for z in [0.1_f64, 1.0, 5.5] {
            let exact = 2.0 * LIGHT_SPEED / 70.0 * (1.0 - 1.0 / (1.0 + z).sqrt()) / 1_000.0;
            assert!((matter.comoving_distance_gpc(z) - exact).abs() < 1e-9, "z = {z}");
        }
        // Dark energy alone: D = c·z/H₀.
        let dark = Cosmology { hubble: 70.0, matter: 0.0, dark_energy: 1.0 };
        assert!(
            (dark.comoving_distance_gpc(3.0) - LIGHT_SPEED * 3.0 / 70.0 / 1_000.0).abs() < 1e-9
        );
    }

    #[test]
    fn the_standard_universe_agrees_with_published_tables() {
        // 3,303.8 Mpc at z = 1 is in every table for these parameters.
        assert!((STANDARD.comoving_distance_gpc(1.0) - 3.3038).abs() < 1e-3);
    }

    #[test]
    fn the_quasar_is_about_eight_gigaparsecs_away() {
        let z = redshift(790.0, LYMAN_ALPHA_NM);
        assert!((z - 5.4985).abs() < 1e-3, "{z}");
        let distance = STANDARD.comoving_distance_gpc(z);
        assert!((8.0..8.5).contains(&distance), "{distance}");
    }
}
